// Where our server differs from npm's on purpose, and why: the cases that are not listed here have to be alike.

const TRANSPORT_UNKNOWN = '400 | content-type: application/json | {"code":0,"message":"Transport unknown"}';
const SESSION_UNKNOWN = '400 | content-type: application/json | {"code":1,"message":"Session ID unknown"}';
const BAD_METHOD = '400 | content-type: application/json | {"code":2,"message":"Bad handshake method"}';
const BAD_REQUEST = '400 | content-type: application/json | {"code":3,"message":"Bad request"}';
const UNSUPPORTED = '400 | content-type: application/json | {"code":5,"message":"Unsupported protocol version"}';
const OK = '200 | content-type: text/html | ok';
const CLOSED = ['close', 'end'];

/** Why we differ. */
const WHY = {
  literal: 'no client escapes what needs no escape; a value that is compared as it stands cannot be read in two ways',
  nodeParser: "Node's HTTP parser knows a fixed list of methods",
  exactPath: 'one path is the endpoint, what lies below it is not',
  oneErrorFormat: 'an error looks the same whatever the request wanted: JSON with a code of the protocol',
  cleanRefusal: 'the reference answers 101, then closes without a word; a refusal before the upgrade can be read',
  onlyRfc6455: 'version 8 was a draft, which no browser of this decade speaks',
  preflight: 'a preflight may be kept for ten minutes; its answer varies only with what was asked for',
  noStore: 'errors must not be cached either',
  method: 'an unknown method is the fault of the client, not of the server',
  saysSo: 'a body that closes the session is refused, where the reference says ok to it',
  strictBase64:
    "Node's decoder skips what it does not know: bytes that were garbled on the way would be taken for good",
  strictUtf8: 'text that was garbled on the way is not taken for good, as over a WebSocket',
  answersBoth: 'the reference cuts the first connection; an answer tells the client more',
  shortestLength: 'RFC 6455 section 5.2: the shortest form must be used and the top bit must be zero',
  noReason: 'the code is the answer to a close (RFC 6455 section 5.5.1); the reason is not sent back',
  closePacket: 'the protocol has it for all transports; the reference waits for the next heartbeat to fail',
  lastPing:
    'RFC 6455 section 5.5.3: of pings that came together only the last need be answered, so that a flood costs nothing',
  failsFast: 'RFC 6455 section 8.1 allows to fail as soon as the text cannot become valid any more',
  noCode: 'a WebSocket that becomes no transport is closed without a code',
  probeFirst: 'an upgrade that was not probed is none: the client has not seen that the WebSocket works',
  oneProbe: 'what follows the probe is the upgrade packet',
  duplicateKey: 'which of two tokens is meant is not guessed',
  needsData: 'the protocol has an array there; without one the packet is invalid, as any other without its array',
  spaceIsNoId: 'JavaScript reads white space as the number 0, so the reference sees an ack id there',
  exactIds: 'an ack id is a 64-bit integer and comes back as it was; the reference rounds it, up to Infinity',
  rawRelay:
    'arguments are relayed as they came, with all their attachments; the reference takes them apart and anew together',
  plainCount: 'the number of attachments is digits; the reference takes all that JavaScript reads as a number',
  placeholderOnce: 'each placeholder names one attachment and is used once: an attachment cannot be multiplied',
  connectIsAwaited: 'CONNECT is decided first, then what follows it is read: a client need not wait',
  noRecursion:
    'JSON is scanned without recursion; the process of the reference dies of a stack overflow. The gateway refuses what is deeper than 32',
  oneAtATime: 'two sockets of one session would share its id; the reference recovers a pid as often as it is brought',
};

/** The same difference in several cases. */
const alike = (names, difference) => Object.fromEntries(names.map((name) => [name, difference]));

/** Area, case: what the reference does, what we do, and why. */
export const DIFFERENCES = {
  HTTP: {
    'an escaped transport': {
      reference: [
        '200 | content-type: text/plain; charset=utf-8 | 0{"sid":"…","upgrades":["websocket"],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}',
      ],
      ours: [TRANSPORT_UNKNOWN],
      why: WHY.literal,
    },
    'a handshake by an unknown method': {
      reference: ['400 | '],
      ours: [BAD_METHOD],
      why: WHY.nodeParser,
    },
    'a path below': {
      reference: [
        '200 | content-type: text/plain; charset=utf-8 | 0{"sid":"…","upgrades":["websocket"],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}',
      ],
      ours: ['404 | '],
      why: WHY.exactPath,
    },
    'an upgrade to an unknown transport': {
      reference: ['400 | content-type: text/html | Transport unknown'],
      ours: [TRANSPORT_UNKNOWN],
      why: WHY.oneErrorFormat,
    },
    'an upgrade of an unknown sid': {
      reference: ['400 | content-type: text/html | Session ID unknown'],
      ours: [SESSION_UNKNOWN],
      why: WHY.oneErrorFormat,
    },
    ...alike(['an upgrade with protocol 3', 'an upgrade without protocol'], {
      reference: ['101 | '],
      ours: [UNSUPPORTED],
      why: WHY.cleanRefusal,
    }),
    ...alike(
      ['an upgrade without key', 'an upgrade with a key that is too short', 'an upgrade with a key that is not base64'],
      {
        reference: ['400 | content-type: text/html | Missing or invalid Sec-WebSocket-Key header'],
        ours: [BAD_REQUEST],
        why: WHY.oneErrorFormat,
      },
    ),
    ...alike(['an upgrade without version', 'an upgrade with another version'], {
      reference: ['400 | content-type: text/html | Missing or invalid Sec-WebSocket-Version header'],
      ours: [BAD_REQUEST],
      why: WHY.oneErrorFormat,
    }),
    'an upgrade with a draft version': {
      reference: ['101 | '],
      ours: [BAD_REQUEST],
      why: WHY.onlyRfc6455,
    },
    'an upgrade by POST': {
      reference: ['400 | content-type: text/html | Bad handshake method'],
      ours: [BAD_METHOD],
      why: WHY.oneErrorFormat,
    },
    'an upgrade to something else': {
      reference: ['400 | content-type: text/html | Invalid Upgrade header'],
      ours: [BAD_REQUEST],
      why: WHY.oneErrorFormat,
    },
    ...alike(['a preflight', 'an OPTIONS that is no preflight'], {
      reference: [
        '204 | access-control-allow-methods: get,head,put,patch,post,delete | access-control-allow-origin: * | vary: access-control-request-headers | ',
      ],
      ours: [
        '204 | access-control-allow-methods: get,head,put,patch,post,delete | access-control-allow-origin: * | access-control-max-age: 600 | ',
      ],
      why: WHY.preflight,
    }),
    'a preflight that asks for a header': {
      reference: [
        '204 | access-control-allow-headers: x-a | access-control-allow-methods: get,head,put,patch,post,delete | access-control-allow-origin: * | vary: access-control-request-headers | ',
      ],
      ours: [
        '204 | access-control-allow-headers: x-a | access-control-allow-methods: get,head,put,patch,post,delete | access-control-allow-origin: * | access-control-max-age: 600 | vary: access-control-request-headers | ',
      ],
      why: WHY.preflight,
    },
    'an error from elsewhere': {
      reference: [
        '400 | access-control-allow-origin: * | content-type: application/json | {"code":0,"message":"Transport unknown"}',
      ],
      ours: [
        '400 | access-control-allow-origin: * | cache-control: no-store | content-type: application/json | {"code":0,"message":"Transport unknown"}',
      ],
      why: WHY.noStore,
    },
  },
  'HTTP of a session': {
    ...alike(['a PUT', 'a DELETE'], {
      reference: ['500 | ', '4fence'],
      ours: [BAD_METHOD, '4fence'],
      why: WHY.method,
    }),
    'an upgrade with protocol 3': {
      reference: ['400 | content-type: text/html | Bad request', '4fence'],
      ours: [BAD_REQUEST, '4fence'],
      why: WHY.oneErrorFormat,
    },
    'an upgrade without key': {
      reference: ['400 | content-type: text/html | Missing or invalid Sec-WebSocket-Key header', '4fence'],
      ours: [BAD_REQUEST, '4fence'],
      why: WHY.oneErrorFormat,
    },
    'a POST by JSONP': {
      reference: [OK, `post: ${SESSION_UNKNOWN}`],
      ours: [BAD_REQUEST, `post: ${SESSION_UNKNOWN}`],
      why: WHY.saysSo,
    },
  },
  polling: {
    ...alike(['bytes without padding', 'bytes with white space'], {
      reference: [OK, 'bAQIDBA==', '4fence'],
      ours: [BAD_REQUEST, `post: ${SESSION_UNKNOWN}`],
      why: WHY.strictBase64,
    }),
    'bytes with the letters of URLs': {
      reference: [OK, 'b+/+/', '4fence'],
      ours: [BAD_REQUEST, `post: ${SESSION_UNKNOWN}`],
      why: WHY.strictBase64,
    },
    'bytes that are not base64': {
      reference: [OK, 'b', '4fence'],
      ours: [BAD_REQUEST, `post: ${SESSION_UNKNOWN}`],
      why: WHY.strictBase64,
    },
    ...alike(
      [
        'a body without a byte',
        'a separator alone',
        'a separator at the end',
        'a separator at the start',
        'two separators',
        'an unknown type',
        'words',
        'a good message before a bad one',
        'a ping',
        'a probe',
        'a byte order mark',
      ],
      {
        reference: [OK, `post: ${SESSION_UNKNOWN}`],
        ours: [BAD_REQUEST, `post: ${SESSION_UNKNOWN}`],
        why: WHY.saysSo,
      },
    ),
    'UTF-8 that is broken': {
      reference: [OK, '4a�', '4fence'],
      ours: [BAD_REQUEST, `post: ${SESSION_UNKNOWN}`],
      why: WHY.strictUtf8,
    },
    'UTF-8 that breaks off': {
      reference: [OK, '4�', '4fence'],
      ours: [BAD_REQUEST, `post: ${SESSION_UNKNOWN}`],
      why: WHY.strictUtf8,
    },
    'a body of bytes': {
      reference: ['400 | ', `then: ${SESSION_UNKNOWN}`],
      ours: [BAD_REQUEST, `then: ${SESSION_UNKNOWN}`],
      why: WHY.oneErrorFormat,
    },
    'two GETs': {
      reference: ['200 | content-type: text/plain; charset=utf-8 | 1', '400 | ', `then: ${SESSION_UNKNOWN}`],
      ours: ['200 | content-type: text/plain; charset=utf-8 | 1', BAD_REQUEST, `then: ${SESSION_UNKNOWN}`],
      why: WHY.oneErrorFormat,
    },
    'two POSTs': {
      reference: ['no answer', '400 | ', `then: ${SESSION_UNKNOWN}`],
      ours: [BAD_REQUEST, BAD_REQUEST, `then: ${SESSION_UNKNOWN}`],
      why: WHY.answersBoth,
    },
    'a bad body beside a GET': {
      reference: ['200 | content-type: text/plain; charset=utf-8 | 1', OK, `then: ${SESSION_UNKNOWN}`],
      ours: ['200 | content-type: text/plain; charset=utf-8 | 1', BAD_REQUEST, `then: ${SESSION_UNKNOWN}`],
      why: WHY.saysSo,
    },
  },
  frames: {
    ...alike(['a length in 3 bytes that fits in 1', 'a length in 9 bytes that fits in 1'], {
      reference: ['text 4a'],
      ours: ['close 1002', 'end'],
      why: WHY.shortestLength,
    }),
    'a length in 9 bytes that fits in 3': {
      reference: ['text 4xxxxxxxxxxxxxxxxxxx… (300)'],
      ours: ['close 1002', 'end'],
      why: WHY.shortestLength,
    },
    'a length with its top bit set': {
      reference: ['close 1009', 'end'],
      ours: ['close 1002', 'end'],
      why: WHY.shortestLength,
    },
    'a close with a reason': {
      reference: ['close 1000 bye', 'end'],
      ours: ['close 1000', 'end'],
      why: WHY.noReason,
    },
    'a close of 125 bytes': {
      reference: [
        'close 1000 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',
        'end',
      ],
      ours: ['close 1000', 'end'],
      why: WHY.noReason,
    },
    'a close packet': {
      reference: [],
      ours: CLOSED,
      why: WHY.closePacket,
    },
    'base64 in a text frame that is garbled': {
      reference: ['binary 010201'],
      ours: CLOSED,
      why: WHY.strictBase64,
    },
    'pings and pongs between fragments': {
      reference: ['text 4abc', 'pong 1', 'pong 3'],
      ours: ['text 4abc', 'pong 3'],
      why: WHY.lastPing,
    },
    'ten pings': {
      reference: ['pong 0', 'pong 1', 'pong 2', 'pong 3', 'pong 4', 'pong 5', 'pong 6', 'pong 7', 'pong 8', 'pong 9'],
      ours: ['pong 9'],
      why: WHY.lastPing,
    },
    'a bad byte in a fragment that is not the last': {
      reference: [],
      ours: ['close 1007', 'end'],
      why: WHY.failsFast,
    },
  },
  upgrade: {
    'a frame that breaks the rules in place of the probe': {
      reference: ['close 1002', 'end', 'and by polling:', '4fence'],
      ours: [...CLOSED, 'and by polling:', '4fence'],
      why: WHY.noCode,
    },
    'a close in place of the probe': {
      reference: ['close 1000', 'end', 'and by polling:', '4fence'],
      ours: [...CLOSED, 'and by polling:', '4fence'],
      why: WHY.noCode,
    },
    'a close in place of the upgrade packet': {
      reference: ['text 3probe', 'close 1001', 'end', 'and by polling:', '4fence'],
      ours: ['text 3probe', ...CLOSED, 'and by polling:', '4fence'],
      why: WHY.noCode,
    },
    'an upgrade packet in place of the probe': {
      reference: [],
      ours: CLOSED,
      why: WHY.probeFirst,
    },
    'two probes': {
      reference: ['text 3probe', 'text 3probe'],
      ours: ['text 3probe', ...CLOSED, 'and by polling:', '4fence'],
      why: WHY.oneProbe,
    },
  },
  'before CONNECT': {
    'CONNECT with a duplicate key': {
      reference: ['text 40{"sid":"…"}'],
      ours: ['text 44{"message":"unauthorized","data":{"code":"UNAUTHORIZED"}}', ...CLOSED],
      why: WHY.duplicateKey,
    },
  },
  packets: {
    ...alike(['an event without data', 'an ack without data'], {
      reference: [],
      ours: CLOSED,
      why: WHY.needsData,
    }),
    'JSON with white space before it': {
      reference: ['text 420["hi",1]'],
      ours: ['text 42["hi",1]'],
      why: WHY.spaceIsNoId,
    },
    'JSON with white space that JSON does not know': {
      reference: ['text 421["hi"]'],
      ours: CLOSED,
      why: WHY.spaceIsNoId,
    },
    'an ack id beyond the integers of JavaScript': {
      reference: ['text 439007199254740992[1]'],
      ours: ['text 439007199254740993[1]'],
      why: WHY.exactIds,
    },
    'an ack id of 64 bits': {
      reference: ['text 4318446744073709552000[1]'],
      ours: ['text 4318446744073709551615[1]'],
      why: WHY.exactIds,
    },
    'an ack id beyond 64 bits': {
      reference: ['text 4318446744073709552000[1]'],
      ours: CLOSED,
      why: WHY.exactIds,
    },
    'an ack id of 400 digits': {
      reference: ['text 43Infinity[1]'],
      ours: CLOSED,
      why: WHY.exactIds,
    },
    'two attachments in the other order': {
      reference: [
        'text 452-["hi",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
        'binary 04',
        'binary 010203',
      ],
      ours: [
        'text 452-["hi",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]',
        'binary 010203',
        'binary 04',
      ],
      why: WHY.rawRelay,
    },
    ...alike(['attachments with an exponent', 'attachments with a space'], {
      reference: ['text 451-["hi",{"_placeholder":true,"num":0}]', 'binary 010203'],
      ours: CLOSED,
      why: WHY.plainCount,
    }),
    'an attachment without placeholder': {
      reference: ['text 42["hi"]'],
      ours: ['text 451-["hi"]', 'binary 010203'],
      why: WHY.rawRelay,
    },
    'two attachments, one placeholder': {
      reference: ['text 451-["hi",{"_placeholder":true,"num":0}]', 'binary 010203'],
      ours: ['text 452-["hi",{"_placeholder":true,"num":0}]', 'binary 010203', 'binary 010203'],
      why: WHY.rawRelay,
    },
    'a placeholder twice': {
      reference: [
        'text 452-["hi",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
        'binary 010203',
        'binary 010203',
      ],
      ours: CLOSED,
      why: WHY.placeholderOnce,
    },
    'a placeholder with a fraction': {
      reference: ['text 42["hi",null]'],
      ours: CLOSED,
      why: WHY.placeholderOnce,
    },
    'a placeholder that is not true': {
      reference: ['text 42["hi",{"_placeholder":1,"num":0}]'],
      ours: ['text 451-["hi",{"_placeholder":1,"num":0}]', 'binary 010203'],
      why: WHY.rawRelay,
    },
    'a placeholder with more in it': {
      reference: ['text 451-["hi",{"_placeholder":true,"num":0}]', 'binary 010203'],
      ours: ['text 451-["hi",{"_placeholder":true,"num":0,"a":1}]', 'binary 010203'],
      why: WHY.rawRelay,
    },
    'an event right behind CONNECT': {
      reference: CLOSED,
      ours: ['text 40{"sid":"…"}', 'text 43998["fence"]'],
      why: WHY.connectIsAwaited,
    },
  },
  'very deep JSON': {
    'five thousand arrays': {
      reference: ['end'],
      ours: ['text 42["hi",[[[[[[[[[[[[… (10009)'],
      why: WHY.noRecursion,
    },
  },
  recovery: {
    'a pid that is brought twice': {
      reference: ['recovered', 'recovered'],
      ours: ['recovered', 'not recovered'],
      why: WHY.oneAtATime,
    },
  },
};

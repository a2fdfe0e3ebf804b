// Packets of Socket.IO: namespaces, acks, attachments, and what breaks the protocol.
import { compare, each } from './support/compare.mjs';
import { ping, text, WebSocketWire } from './support/websocket.mjs';

const CONNECT = '0{"token":"good"}';
const FENCE = '2998["echo","fence"]';
const FENCE_ACK = 'text 43998["fence"]';
const BYTES = Buffer.from([1, 2, 3]);
const placeholder = (num) => `{"_placeholder":true,"num":${num}}`;
const nested = (depth) => `${'['.repeat(depth)}${']'.repeat(depth)}`;

/** Packets of a client that is not connected to a namespace. */
const BEFORE_CONNECT = {
  CONNECT: [CONNECT],
  'CONNECT without auth': ['0'],
  'CONNECT with a bad token': ['0{"token":"bad"}'],
  'CONNECT again after one that was refused': ['0{"token":"bad"}', CONNECT],
  'CONNECT with more in auth': ['0{"token":"good","more":[1,{"a":null}]}'],
  'CONNECT with a string for auth': ['0"good"'],
  'CONNECT with an array for auth': ['0["good"]'],
  'CONNECT with null for auth': ['0null'],
  'CONNECT with JSON that breaks off': ['0{"token":"good"'],
  'CONNECT with an ack id': ['07{"token":"good"}'],
  'CONNECT with a duplicate key': ['0{"token":"bad","token":"good"}'],
  'CONNECT with an unknown namespace': ['0/nowhere,{"token":"good"}'],
  'CONNECT with an unknown namespace, no comma': ['0/nowhere'],
  'CONNECT with the namespace spelled out': ['0/,{"token":"good"}'],
  'CONNECT with a namespace and a query': ['0/nowhere?a=b,{"token":"good"}'],
  'CONNECT with a namespace named like a property of all objects': ['0/__proto__,{"token":"good"}'],
  'CONNECT after an unknown namespace': ['0/nowhere,', CONNECT],
  'an event': ['2["hi"]'],
  'an event with an ack id': [FENCE],
  'an ack': ['31[]'],
  DISCONNECT: ['1'],
  'an event of a namespace': ['2/nowhere,["hi"]'],
  'a CONNECT_ERROR': ['4{"message":"no"}'],
  bytes: [BYTES],
  'a packet without a byte': [''],
};

/** Packets of a client that is connected to `/`. */
const CONNECTED = {
  'CONNECT twice': [CONNECT],
  'CONNECT twice with another token': ['0{"token":"bad"}'],
  'another namespace': ['0/nowhere,{"token":"good"}'],
  DISCONNECT: ['1'],
  'DISCONNECT with data': ['1{}'],
  'DISCONNECT of a namespace': ['1/nowhere,'],
  'DISCONNECT, then an event': ['1', '2["hi"]'],
  'a CONNECT_ERROR': ['4{"message":"no"}'],
  'a CONNECT_ERROR without data': ['4'],
  'an unknown type': ['7["hi"]'],
  'a letter for a type': ['x["hi"]'],
  'a packet without a byte': [''],
  'an event of another namespace': ['2/nowhere,["hi"]'],
  'an event with the namespace spelled out': ['2/,["hi",1]'],

  'an event': ['2["hi",1,"2",{"3":[true,null]}]'],
  'an event without arguments': ['2["hi"]'],
  'an event nobody knows': ['2["tobi",1]'],
  'an event nobody knows with an ack id': ['27["tobi",1]'],
  'an event without name': ['2[]'],
  'an event without data': ['2'],
  'an event with an object': ['2{}'],
  'an event with a string': ['2"hi"'],
  'an event with a number for its name': ['2[7,1]'],
  'an event with an object for its name': ['2[{"a":1}]'],
  'an event with null for its name': ['2[null]'],
  'an event with true for its name': ['2[true]'],
  'an event with an array for its name': ['2[["hi"]]'],
  'an event with an empty name': ['2[""]'],
  'an event with an escaped name': ['2["h\\u0069",1]'],
  'an event named like a property of all objects': ['2["__proto__"]'],
  ...Object.fromEntries(
    [
      'connect',
      'connect_error',
      'disconnect',
      'disconnecting',
      'newListener',
      'removeListener',
      'error',
      'message',
    ].map((name) => [`an event named ${name}`, [`2["${name}"]`]]),
  ),
  'a reserved name, escaped': ['2["\\u0063onnect"]'],

  'JSON that breaks off': ['2["hi"'],
  'JSON with more behind it': ['2["hi"]x'],
  'JSON with a comma at the end': ['2["hi",]'],
  'JSON with single quotes': ["2['hi']"],
  'JSON with NaN': ['2["hi",NaN]'],
  'JSON with a zero before a number': ['2["hi",01]'],
  'JSON with a plus': ['2["hi",+1]'],
  'JSON with a number without its fraction': ['2["hi",1.]'],
  'JSON with a control character': ['2["hi","\u0001"]'],
  'JSON with a bad escape': ['2["hi","\\x41"]'],
  'JSON with white space': ['2[ "hi" ,\t1\r\n] '],
  'JSON with white space before it': ['2 ["hi",1]'],
  'JSON with white space that JSON does not know': ['2\u00a0["hi"]'],
  'JSON with a big number': ['2["hi",123456789012345678901234567890]'],
  'JSON with a number out of range': ['2["hi",1e999]'],
  'JSON with a small number': ['2["hi",1e-999]'],
  'JSON with minus zero': ['2["hi",-0]'],
  'JSON with an exponent': ['2["hi",1E2]'],
  'JSON with half a surrogate pair': ['2["hi","\\ud800"]'],
  'JSON with a surrogate pair': ['2["hi","\\ud83d\\ude00"]'],
  'JSON with an escaped slash': ['2["hi","\\/"]'],
  'JSON with a NUL': ['2["hi","\\u0000"]'],
  'JSON with a line separator': ['2["hi","\u2028"]'],
  'JSON with a duplicate key': ['2["hi",{"a":1,"a":2}]'],
  'JSON with __proto__': ['2["hi",{"__proto__":{"a":1}}]'],
  'JSON with keys out of order': ['2["hi",{"b":1,"a":2,"1":3}]'],
  'JSON as deep as may be': [`2["hi",${nested(31)}]`],
  'JSON a level deeper': [`2["hi",${nested(32)}]`],

  'an ack id': ['27["echo",1,"2"]'],
  'ack id 0': ['20["echo",1]'],
  'an ack id with a zero before it': ['207["echo",1]'],
  'the largest ack id of an integer': ['29007199254740991["echo",1]'],
  'an ack id beyond the integers of JavaScript': ['29007199254740993["echo",1]'],
  'an ack id of 64 bits': ['218446744073709551615["echo",1]'],
  'an ack id beyond 64 bits': ['218446744073709551616["echo",1]'],
  'an ack id of 400 digits': [`2${'9'.repeat(400)}["echo",1]`],
  'a negative ack id': ['2-1["echo",1]'],
  'an ack id with a fraction': ['21.5["echo",1]'],
  'an ack id with an exponent': ['21e3["echo",1]'],
  'an ack id in other digits': ['2٣["echo",1]'],
  'an ack id with a space behind it': ['27 ["echo",1]'],
  'an ack id twice': ['27["echo",1]', '27["echo",2]'],
  'an ack without id': ['3["a"]'],
  'an ack nobody asked for': ['37["a"]'],
  'an ack with an object': ['37{}'],
  'an ack without data': ['37'],
  'an ack with JSON that breaks off': ['37["a"'],

  'one attachment': [`51-["hi",${placeholder(0)}]`, BYTES],
  'two attachments': [`52-["hi",${placeholder(0)},${placeholder(1)}]`, BYTES, Buffer.from([4])],
  'two attachments in the other order': [`52-["hi",${placeholder(1)},${placeholder(0)}]`, BYTES, Buffer.from([4])],
  'an attachment deep within': [`51-["hi",{"a":[{"b":${placeholder(0)}}]}]`, BYTES],
  'an attachment without a byte': [`51-["hi",${placeholder(0)}]`, Buffer.alloc(0)],
  'an attachment and an ack id': [`51-7["echo",${placeholder(0)}]`, BYTES],
  'ten attachments': [
    `510-["hi",${Array.from({ length: 10 }, (_, index) => placeholder(index))}]`,
    ...Array.from({ length: 10 }, (_, index) => Buffer.from([index])),
  ],
  'eleven attachments': [`511-["hi",${Array.from({ length: 11 }, (_, index) => placeholder(index))}]`],
  'a thousand million attachments': ['51000000000-["hi"]'],
  'no attachments': ['50-["hi"]'],
  'attachments without a number': ['5-["hi"]'],
  'attachments without a dash': ['51["hi"]'],
  'attachments with a letter': ['5a-["hi"]'],
  'negative attachments': ['5-1-["hi"]'],
  'attachments with a zero before them': [`501-["hi",${placeholder(0)}]`, BYTES],
  'attachments with a fraction': ['51.5-["hi"]'],
  'attachments with an exponent': [`51e0-["hi",${placeholder(0)}]`, BYTES],
  'attachments with a space': [`5 1-["hi",${placeholder(0)}]`, BYTES],
  'an attachment without placeholder': ['51-["hi"]', BYTES],
  'two attachments, one placeholder': [`52-["hi",${placeholder(0)}]`, BYTES, BYTES],
  'a placeholder twice': [`51-["hi",${placeholder(0)},${placeholder(0)}]`, BYTES],
  'a placeholder out of range': [`51-["hi",${placeholder(1)}]`, BYTES],
  'a negative placeholder': [`51-["hi",${placeholder(-1)}]`, BYTES],
  'a placeholder with a fraction': [`51-["hi",${placeholder(0.5)}]`, BYTES],
  'a placeholder with a string': [`51-["hi",${placeholder('"0"')}]`, BYTES],
  'a placeholder with splice for its number': [`51-["hi",${placeholder('"splice"')}]`, BYTES],
  'a placeholder without number': ['51-["hi",{"_placeholder":true}]', BYTES],
  'a placeholder that is not true': ['51-["hi",{"_placeholder":1,"num":0}]', BYTES],
  'a placeholder with more in it': ['51-["hi",{"_placeholder":true,"num":0,"a":1}]', BYTES],
  'a placeholder in place of the name': [`51-[${placeholder(0)}]`, BYTES],
  'a placeholder in an event without attachments': [`2["hi",${placeholder(0)}]`],
  'text in place of an attachment': [`51-["hi",${placeholder(0)}]`, '2["hi"]'],
  'bytes without a packet': [BYTES],
  'attachments of a reserved name': [`51-["connect",${placeholder(0)}]`, BYTES],
  'attachments of an ack': [`61-7[${placeholder(0)}]`, BYTES],
  'attachments of another namespace': [`51-/nowhere,["hi",${placeholder(0)}]`, BYTES],
  'attachments with JSON that breaks off': ['51-["hi"', BYTES],
};

async function open(server) {
  const wire = await WebSocketWire.open(server);
  await wire.next();
  return wire;
}

/** Sends Socket.IO packets, each as one message. */
async function send(wire, packets) {
  for (const packet of packets) await wire.send(typeof packet === 'string' ? `4${packet}` : packet);
}

/** What follows until the server has read everything, and then until the ack of a last event. */
async function rest(wire) {
  await wire.write(ping('read'));
  const seen = await wire.until('pong read');
  if (seen.at(-1) !== 'end') {
    await send(wire, [FENCE]);
    seen.push(...(await wire.until(FENCE_ACK)));
  }
  wire.destroy();
  return seen.map(sameJson);
}

/** A packet with its JSON as JavaScript writes it: ours relays what came, the reference what it has read. */
function sameJson(item) {
  const [, head, json] = /^(text [^[{]*)([[{].*)$/s.exec(item) ?? [];
  try {
    return json ? `${head}${JSON.stringify(JSON.parse(json))}` : item;
  } catch {
    return item;
  }
}

async function connect(server) {
  const wire = await open(server);
  await send(wire, [CONNECT]);
  return [wire, await wire.next()];
}

const connected = (packets) => async (server) => {
  const [wire] = await connect(server);
  await send(wire, packets);
  return rest(wire);
};

/** The answer to each packet is awaited before the next is sent; the time for CONNECT ends what has no answer. */
const beforeConnect = (packets) => async (server) => {
  const wire = await open(server);
  const seen = [];
  for (const packet of packets) {
    await send(wire, [packet]);
    seen.push(await wire.next());
  }
  const isConnected = seen.at(-1).startsWith('text 40');
  return [...seen, ...(isConnected ? await rest(wire) : await wire.until())];
};

/** What takes more than one step. */
const STEPS = {
  async 'an event right behind CONNECT'(server) {
    const wire = await open(server);
    await wire.write(Buffer.concat([text(`4${CONNECT}`), text(`4${FENCE}`)]));
    return [await wire.next(), ...(await rest(wire))];
  },
  async 'DISCONNECT, then CONNECT'(server) {
    const [wire] = await connect(server);
    await send(wire, ['1']);
    await wire.write(ping('read'));
    const seen = await wire.until('pong read');
    await send(wire, [CONNECT]);
    return [...seen, await wire.next(), ...(await rest(wire))];
  },
  async 'an attachment too many'(server) {
    const [wire] = await connect(server);
    await send(wire, [`51-["hi",${placeholder(0)}]`, BYTES]);
    const seen = [await wire.next(), await wire.next()];
    await send(wire, [BYTES]);
    return [...seen, ...(await rest(wire))];
  },
  async 'an event right behind DISCONNECT'(server) {
    const [wire] = await connect(server);
    await wire.write(Buffer.concat([text('41'), text('42["hi"]')]));
    return rest(wire);
  },
};

// Most of them end by the time-out of CONNECT.
compare('before CONNECT', 'plain', each(BEFORE_CONNECT, beforeConnect), { atOnce: true });
compare('packets', 'plain', { ...each(CONNECTED, connected), ...STEPS });

// The reference's process does not survive it.
compare('very deep JSON', 'plain', each({ 'five thousand arrays': [`2["hi",${nested(5_000)}]`] }, connected));

compare('namespaces', 'sio', {
  async 'two namespaces on one connection'(server) {
    const wire = await open(server);
    const seen = [];
    for (const packet of ['40', '40/custom,{"a":1}']) {
      wire.send(packet);
      seen.push(await wire.next(), await wire.next());
    }
    wire.send('41/custom,');
    wire.send('42["message","still here"]');
    seen.push(await wire.next());
    wire.destroy();
    return seen;
  },
  async 'an event of a namespace that was left'(server) {
    const wire = await open(server);
    wire.send('40/custom');
    const seen = [await wire.next(), await wire.next()];
    wire.write(Buffer.concat([text('41/custom'), ping('read')]));
    await wire.until('pong read');
    wire.send('42/custom,["message"]');
    return [...seen, ...(await wire.until())];
  },
  async 'a CONNECT that never comes'(server) {
    const wire = await open(server);
    return wire.until();
  },
});

/** CONNECT with more in `auth`, as a client does that comes back. */
async function comeBack(server, auth) {
  const wire = await open(server);
  await send(wire, [`0${JSON.stringify({ token: 'good', ...auth })}`]);
  return [wire, await wire.next()];
}

const withoutOffset = (event) => event.replace(/"[^"]+"\]$/, '"…"]');
const offsetOf = (event) => /"([^"]+)"\]$/.exec(event)[1];

const pidOf = (reply) => JSON.parse(reply.slice(reply.indexOf('{'))).pid;

/** Whether a client with this `auth` keeps its pid, which is how it learns that it is recovered. */
async function isRecovered(server, auth) {
  const [wire, reply] = await comeBack(server, auth);
  wire.destroy();
  return pidOf(reply) === auth.pid ? 'recovered' : 'not recovered';
}

/** A client that has had so many events, and whose connection is gone; `leave` is what it does last. */
async function lost(server, events, leave = () => {}) {
  const [wire, reply] = await comeBack(server, {});
  const offsets = [];
  for (let n = 0; n < events; n += 1) {
    wire.send(`42["hi",${n}]`);
    offsets.push(offsetOf(await wire.next()));
  }
  leave(wire);
  wire.end();
  await wire.until();
  return { pid: pidOf(reply), offsets };
}

/** Whether a client is recovered, and the events that it has missed; the reference sends them before its reply. */
async function missed(server, auth, count) {
  const wire = await open(server);
  await send(wire, [`0${JSON.stringify({ token: 'good', ...auth })}`]);
  const packets = [];
  for (let n = 0; n <= count; n += 1) packets.push(await wire.next());
  wire.end();
  await wire.until();
  const reply = packets.find((packet) => packet.startsWith('text 40'));
  const events = packets.filter((packet) => packet !== reply).map(withoutOffset);
  return [pidOf(reply) === auth.pid ? 'recovered' : 'not recovered', ...events];
}

compare(
  'recovery',
  'plain',
  {
    async 'CONNECT has a pid, an event ends in an offset'(server) {
      const [wire, reply] = await comeBack(server, {});
      wire.send('42["hi",1]');
      const event = await wire.next();
      wire.destroy();
      return [reply, withoutOffset(event)];
    },
    async 'an ack has no offset'(server) {
      const [wire] = await comeBack(server, {});
      return rest(wire);
    },
    async 'a client that comes back'(server) {
      const { pid, offsets } = await lost(server, 1);
      return [await isRecovered(server, { pid, offset: offsets[0] })];
    },
    async 'a client that comes back after it has missed something'(server) {
      const { pid, offsets } = await lost(server, 3);
      return missed(server, { pid, offset: offsets[0] }, 2);
    },
    async 'a client that comes back a second time'(server) {
      const { pid, offsets } = await lost(server, 3);
      await missed(server, { pid, offset: offsets[1] }, 1);
      return missed(server, { pid, offset: offsets[0] }, 2);
    },
    async 'a client that goes on after it came back'(server) {
      const { pid, offsets } = await lost(server, 1);
      const [wire] = await comeBack(server, { pid, offset: offsets[0] });
      wire.send('42["hi","on"]');
      const event = await wire.next();
      wire.destroy();
      return [withoutOffset(event)];
    },
    async 'a client that comes back and had no event yet'(server) {
      const { pid } = await lost(server, 0);
      return [await isRecovered(server, { pid })];
    },
    async 'a client that brings no offset'(server) {
      const { pid } = await lost(server, 1);
      return [await isRecovered(server, { pid })];
    },
    async 'offsets that nobody gave'(server) {
      const seen = [];
      for (const offset of ['', 'x', '1~x', '99999999', null, 7, ['a'], { a: 1 }]) {
        const { pid } = await lost(server, 1);
        seen.push(await isRecovered(server, { pid, offset }));
      }
      return seen;
    },
    async 'pids that nobody has'(server) {
      const { offsets } = await lost(server, 1);
      const seen = [];
      for (const pid of ['', 'x', 'A'.repeat(20), null, 7]) {
        seen.push(await isRecovered(server, { pid, offset: offsets[0] }));
      }
      return seen;
    },
    async 'a pid whose client is still there'(server) {
      const [wire, reply] = await comeBack(server, {});
      wire.send('42["hi",1]');
      const offset = offsetOf(await wire.next());
      const found = await isRecovered(server, { pid: pidOf(reply), offset });
      wire.destroy();
      return [found];
    },
    async 'a pid whose client has left the namespace'(server) {
      const { pid, offsets } = await lost(server, 1, (wire) => wire.send('41'));
      return [await isRecovered(server, { pid, offset: offsets[0] })];
    },
    async 'a pid that is brought twice'(server) {
      const { pid, offsets } = await lost(server, 1);
      const [wire, reply] = await comeBack(server, { pid, offset: offsets[0] });
      const second = await isRecovered(server, { pid, offset: offsets[0] });
      wire.destroy();
      return [pidOf(reply) === pid ? 'recovered' : 'not recovered', second];
    },
  },
  { recovery: true },
);

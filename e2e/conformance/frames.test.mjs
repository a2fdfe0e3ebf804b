// Frames of RFC 6455 on a bare TCP connection, whole and byte by byte.
import { compare, each } from './support/compare.mjs';
import { binary, close, continuation, frame, OPCODE, ping, pong, text, WebSocketWire } from './support/websocket.mjs';

const MAX_PAYLOAD = 1_000_000;
const MORE = { fin: false };
const EURO = Buffer.from('€');
const join = (...parts) => Buffer.concat(parts);

/** Frames of a client; then an echo is asked for, unless the connection is closed. */
const FRAMES = {
  'a text': text('4hello'),
  'an empty text': text(''),
  'a binary message': binary([1, 2, 3]),
  'a binary message without a byte': binary(''),
  'two texts in one write': join(text('4a'), text('4b')),
  'a text of 125 bytes': text(`4${'x'.repeat(124)}`),
  'a text of 126 bytes': text(`4${'x'.repeat(125)}`),
  'a text of 65,535 bytes': text(`4${'x'.repeat(65_534)}`),
  'a text of 65,536 bytes': text(`4${'x'.repeat(65_535)}`),
  'a mask of zeros': text('4hello', { mask: Buffer.alloc(4) }),

  'a text in two fragments': join(text('4hel', MORE), continuation('lo')),
  'a text in fragments of a byte': join(
    text('4', MORE),
    continuation('a', MORE),
    continuation('b', MORE),
    continuation('c'),
  ),
  'fragments without a byte': join(text('', MORE), continuation('', MORE), continuation('4a', MORE), continuation('')),
  'a binary message in fragments': join(binary([1], MORE), continuation([2], MORE), continuation([3])),
  'a fragmented text between texts': join(text('4a'), text('4b', MORE), continuation('c'), text('4d')),
  'a continuation of nothing': continuation('4a'),
  'an unfinished continuation of nothing': continuation('4a', MORE),
  'a continuation of a whole text': join(text('4a'), continuation('b')),
  'a text within a text': join(text('4a', MORE), text('4b')),
  'a binary message within a text': join(text('4a', MORE), binary([1])),
  'a fragment within a text': join(text('4a', MORE), text('4b', MORE)),

  'a ping': ping('hello'),
  'a ping without a byte': ping(''),
  'a ping of 125 bytes': ping('x'.repeat(125)),
  'a ping of 126 bytes': ping('x'.repeat(126)),
  'a ping between fragments': join(text('4hel', MORE), ping('p'), continuation('lo')),
  'a ping in fragments': join(ping('a', MORE), continuation('b')),
  'a pong nobody asked for': pong('hello'),
  'a pong of 126 bytes': pong('x'.repeat(126)),
  'a pong in fragments': pong('a', MORE),
  'a close between fragments': join(text('4a', MORE), close(1000)),

  'a text without mask': text('4a', { masked: false }),
  'a ping without mask': ping('a', { masked: false }),
  'a close without mask': frame(OPCODE.close, '', { masked: false }),
  'reserved bit 1': text('4a', { rsv: 4 }),
  'reserved bit 2': text('4a', { rsv: 2 }),
  'reserved bit 3': text('4a', { rsv: 1 }),
  'reserved bit 1 in a ping': ping('a', { rsv: 4 }),
  'reserved bit 1 in a continuation': join(text('4a', MORE), continuation('b', { rsv: 4 })),
  'reserved bit 1 in a close': frame(OPCODE.close, '', { rsv: 4 }),
  ...Object.fromEntries(
    [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((code) => [`reserved opcode ${code}`, frame(code, 'a')]),
  ),
  'a reserved opcode between fragments': join(text('4a', MORE), frame(3, '')),
  'a length in 3 bytes that fits in 1': text('4a', { length: { claimed: 2, bytes: 3 } }),
  'a length in 9 bytes that fits in 1': text('4a', { length: { claimed: 2, bytes: 9 } }),
  'a length in 9 bytes that fits in 3': text(`4${'x'.repeat(299)}`, { length: { claimed: 300, bytes: 9 } }),
  'a length with its top bit set': text('', { length: { claimed: 1n << 63n, bytes: 9 } }),
  'a length of 2^53': text('', { length: { claimed: 1n << 53n, bytes: 9 } }),
  'a ping whose length takes 3 bytes': ping('a', { length: { claimed: 1, bytes: 3 } }),

  'text beyond the first plane': text('4ä€😀'),
  'text that breaks off': text(join(Buffer.from('4'), EURO.subarray(0, 2))),
  'text with a stray byte': text([0x34, 0x80]),
  'text with 0xff': text([0x34, 0xff]),
  'text that is too long for its character': text([0x34, 0xc0, 0xaf]),
  'text with a surrogate': text([0x34, 0xed, 0xa0, 0x80]),
  'text beyond Unicode': text([0x34, 0xf4, 0x90, 0x80, 0x80]),
  'text with a NUL': text('4\0'),
  'text with a byte order mark': text('4\ufeffa'),
  'a byte order mark before the packet': text('\ufeff4a'),
  'a character across two fragments': join(
    text(join(Buffer.from('4'), EURO.subarray(0, 1)), MORE),
    continuation(EURO.subarray(1)),
  ),
  'a character across three fragments': join(
    text(join(Buffer.from('4'), EURO.subarray(0, 1)), MORE),
    continuation(EURO.subarray(1, 2), MORE),
    continuation(EURO.subarray(2)),
  ),
  'a character that the next fragment breaks': join(
    text(join(Buffer.from('4'), EURO.subarray(0, 1)), MORE),
    continuation('a'),
  ),
  'a character that the last fragment leaves open': join(text('4', MORE), continuation(EURO.subarray(0, 2))),
  'a bad byte in the first of two fragments': join(text([0x34, 0xff], MORE), continuation('a')),
  'bytes that are not UTF-8 in a binary message': binary([0xff, 0xc0]),
  'a ping that is not UTF-8': ping([0xff]),

  'a close without code': close(),
  ...Object.fromEntries(
    [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999].map((code) => [
      `close ${code}`,
      close(code),
    ]),
  ),
  ...Object.fromEntries(
    [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535].map((code) => [
      `close ${code}, which may not be sent`,
      close(code),
    ]),
  ),
  'a close with a reason': close(1000, 'bye'),
  'a close with half a code': frame(OPCODE.close, [3]),
  'a close with a reason that is not UTF-8': close(1000, Buffer.from([0xff])),
  'a close with a reason that breaks off': close(1000, EURO.subarray(0, 2)),
  'a close of 125 bytes': close(1000, 'x'.repeat(123)),
  'a close of 126 bytes': close(1000, 'x'.repeat(124)),
  'a close in fragments': frame(OPCODE.close, '', MORE),

  'the largest text': text(`4${'x'.repeat(MAX_PAYLOAD - 1)}`),
  'the largest binary message': binary(Buffer.alloc(MAX_PAYLOAD)),
  'a text that is too large by a byte': text(`4${'x'.repeat(MAX_PAYLOAD)}`),
  'a header that claims too much': text('', { length: { claimed: MAX_PAYLOAD + 1, bytes: 9 } }),
  'a header that claims 2^40': text('', { length: { claimed: 1n << 40n, bytes: 9 } }),
  'fragments that are too large together': join(
    text(`4${'x'.repeat(600_000)}`, MORE),
    continuation('x'.repeat(400_000)),
  ),
  'fragments that are as large as may be': join(
    text(`4${'x'.repeat(599_999)}`, MORE),
    continuation('x'.repeat(400_000)),
  ),

  'an open packet': text('0'),
  'a close packet': text('1'),
  'a ping packet': text('2'),
  'a probe': text('2probe'),
  'a pong packet': text('3'),
  'a pong packet with data': text('3x'),
  'an upgrade packet': text('5'),
  'a noop packet': text('6'),
  'an unknown packet': text('7'),
  words: text('abc'),
  'base64 in a text frame': text('bAQIDBA=='),
  'base64 in a text frame that is garbled': text('bAQI!BA=='),
  'a separator, which is for polling': text('4a\x1e4b'),
};

/** Frames that only matter when they are read together. */
const IN_ONE_WRITE = {
  'pings and pongs between fragments': join(
    text('4a', MORE),
    ping('1'),
    pong('2'),
    continuation('b', MORE),
    ping('3'),
    continuation('c'),
  ),
  'ten pings': join(...Array.from({ length: 10 }, (_, index) => ping(`${index}`))),
  'a text behind a close': join(close(1000), text('4a')),
  'a ping behind a close': join(close(1000), ping('a')),
};

const SHORT = 400;

async function open(server) {
  const wire = await WebSocketWire.open(server);
  await wire.next();
  return wire;
}

/** What follows the bytes, up to the echo of a last message; a client that closed sends none. */
async function rest(wire, closed) {
  if (!closed) wire.send('4fence');
  const seen = await wire.until('text 4fence');
  wire.destroy();
  return seen;
}

const closes = (bytes) => (bytes[0] & 0xf) === OPCODE.close;

const inOneWrite = (bytes) => async (server) => {
  const wire = await open(server);
  wire.write(bytes);
  return rest(wire, closes(bytes));
};

const frames = (bytes) => async (server) => {
  const whole = await inOneWrite(bytes)(server);
  if (bytes.length > SHORT) return whole;
  const slow = await open(server);
  for (const byte of bytes) await slow.write(Buffer.from([byte]));
  const dribbled = await rest(slow, closes(bytes));
  return dribbled.join() === whole.join() ? whole : [...whole, 'but byte by byte:', ...dribbled];
};

const CONNECTIONS = {
  async 'frames that come with the handshake'(server) {
    const wire = await WebSocketWire.open(server, { first: join(text('4early'), ping('p')) });
    return rest(wire);
  },
  async 'a bad byte in a fragment that is not the last'(server) {
    const wire = await open(server);
    wire.write(join(text([0x34, 0xff], MORE), ping('fence')));
    const seen = await wire.until('pong fence');
    wire.destroy();
    return seen;
  },
  async 'half a frame, then the end'(server) {
    const wire = await open(server);
    wire.write(text('4hello').subarray(0, 5));
    wire.end();
    return wire.until();
  },
  async 'a fragment, then the end'(server) {
    const wire = await open(server);
    wire.write(text('4a', MORE));
    wire.end();
    return wire.until();
  },
  async 'the end alone'(server) {
    const wire = await open(server);
    wire.end();
    return wire.until();
  },
  async 'a text, then the end'(server) {
    const wire = await open(server);
    wire.write(text('4hello'));
    await wire.next();
    wire.end();
    return wire.until();
  },
  async 'fragments without end keep the heartbeat'(server) {
    const wire = await open(server);
    wire.write(text('4a', MORE));
    wire.write(ping('p'));
    const answered = await wire.next();
    wire.write(continuation('b'));
    return [answered, ...(await rest(wire))];
  },
  async 'twenty thousand fragments'(server) {
    const wire = await open(server);
    wire.write(
      join(text('4', MORE), ...Array.from({ length: 20_000 }, () => continuation('x', MORE)), continuation('')),
    );
    return rest(wire);
  },
};

compare('frames', 'eio', { ...each(FRAMES, frames), ...each(IN_ONE_WRITE, inOneWrite), ...CONNECTIONS });

// A WebSocket, frame by frame: nothing is checked on the way out, everything is told that comes in.
import { answerOf, shown, upgradeRequest } from './http.mjs';
import { Tcp } from './tcp.mjs';

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };
const NAMES = { 0: 'continuation', 1: 'text', 2: 'binary', 8: 'close', 9: 'ping', 10: 'pong' };
const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

/**
 * One frame. `length` is `{claimed, bytes}` where the header is to lie: the length it names, in 1, 3 or 9 bytes.
 */
export function frame(opcode, payload = '', { fin = true, rsv = 0, masked = true, mask = MASK, length } = {}) {
  const data = Buffer.from(payload);
  const first = Buffer.from([(fin ? 0x80 : 0) | (rsv << 4) | opcode]);
  const bytes = length?.bytes ?? (data.length < 126 ? 1 : data.length < 65_536 ? 3 : 9);
  const size = sizeOf(BigInt(length?.claimed ?? data.length), bytes, masked);
  if (!masked) return Buffer.concat([first, size, data]);
  return Buffer.concat([first, size, mask, data.map((byte, index) => byte ^ mask[index % 4])]);
}

function sizeOf(length, bytes, masked) {
  const size = Buffer.alloc(bytes);
  size[0] = bytes === 1 ? Number(length) : bytes === 3 ? 126 : 127;
  if (masked) size[0] |= 0x80;
  if (bytes === 3) size.writeUInt16BE(Number(length), 1);
  if (bytes === 9) size.writeBigUInt64BE(length, 1);
  return size;
}

export const text = (payload, options) => frame(OPCODE.text, payload, options);
export const binary = (payload, options) => frame(OPCODE.binary, payload, options);
export const continuation = (payload, options) => frame(OPCODE.continuation, payload, options);
export const ping = (payload, options) => frame(OPCODE.ping, payload, options);
export const pong = (payload, options) => frame(OPCODE.pong, payload, options);

/** A close frame; without a code it is empty. */
export function close(code, reason = '') {
  const status = Buffer.alloc(code === undefined ? 0 : 2);
  if (code !== undefined) status.writeUInt16BE(code);
  return frame(OPCODE.close, Buffer.concat([status, Buffer.from(reason)]));
}

export class WebSocketWire {
  #tcp;
  #hasClosed = false;

  constructor(tcp) {
    this.#tcp = tcp;
  }

  /** Opens one; `first` are bytes that go out with the handshake. The answer of a refused one is thrown. */
  static async open(server, { query, more, first = '' } = {}) {
    const tcp = await Tcp.connect(server.port);
    await tcp.write(Buffer.concat([upgradeRequest(server, { query, more }), Buffer.from(first)]));
    const answer = await answerOf(tcp);
    if (answer?.status === 101) return new WebSocketWire(tcp);
    tcp.destroy();
    throw new Error(shown(answer));
  }

  write(bytes) {
    if ((bytes[0] & 0xf) === OPCODE.close) this.#hasClosed = true;
    return this.#tcp.write(bytes);
  }

  /** A text frame, or a binary one for bytes. */
  send(message) {
    return this.write(typeof message === 'string' ? text(message) : binary(message));
  }

  end() {
    this.#tcp.end();
  }

  destroy() {
    this.#tcp.destroy();
  }

  /** What comes next, as `text 4hello`, `binary 0102`, `close 1002` or `end`. Heartbeats are answered and left out. */
  async next() {
    for (;;) {
      const received = await this.#tcp.take(parse);
      if (!received) return 'end';
      const { opcode, payload } = received;
      if (opcode === OPCODE.close) await this.#answerClose(payload);
      if (opcode !== OPCODE.text || payload.toString() !== '2') return told(received);
      await this.send('3');
    }
  }

  /**
   * What comes until `last`, `last` left out, or until the connection ends. Pongs stand at the end: they may overtake
   * messages.
   */
  async until(last) {
    const seen = [];
    for (let item = await this.next(); item !== last; item = await this.next()) {
      seen.push(item);
      if (item === 'end') break;
    }
    const isPong = (item) => item.startsWith('pong');
    return [...seen.filter((item) => !isPong(item)), ...seen.filter(isPong)];
  }

  async #answerClose(payload) {
    if (!this.#hasClosed) await this.write(frame(OPCODE.close, payload));
    this.#tcp.end();
  }
}

function parse(bytes) {
  if (bytes.length < 2) return undefined;
  const short = bytes[1] & 0x7f;
  const start = short === 126 ? 4 : short === 127 ? 10 : 2;
  if (bytes.length < start) return undefined;
  const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
  if (bytes.length < start + length) return undefined;
  const payload = Buffer.from(bytes.subarray(start, start + length));
  return [{ opcode: bytes[0] & 0xf, plain: bytes[0] >> 4 === 8 && bytes[1] < 128, payload }, start + length];
}

function told({ opcode, plain, payload }) {
  // Servers neither mask nor use reserved bits, and none of these two fragments.
  const name = `${plain ? '' : 'odd '}${NAMES[opcode] ?? opcode}`;
  if (opcode === OPCODE.close) {
    return [name, ...(payload.length ? [payload.readUInt16BE(0), payload.subarray(2)] : [])].join(' ').trim();
  }
  if (opcode === OPCODE.binary) return `${name} ${short(payload.toString('hex'))}`;
  return `${name} ${short(payload.toString())}`;
}

function short(content) {
  return content.length <= 200 ? content : `${content.slice(0, 20)}… (${content.length})`;
}

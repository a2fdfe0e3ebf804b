// A WebSocket that reads only when it is told to, which the official client cannot: Socket.IO over bare TCP.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { within } from './people.mjs';

const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;

/** Connects to Socket.IO; `auth` is what its CONNECT holds. */
export async function rawSocket(url, auth) {
  const { hostname, port, host } = new URL(url);
  const tcp = connect(Number(port), hostname);
  await once(tcp, 'connect');
  tcp.write(
    [
      'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1',
      `Host: ${host}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
      '\r\n',
    ].join('\r\n'),
  );
  const socket = new RawSocket(tcp);
  await socket.next((packet) => packet.startsWith('0'), 'open packet');
  socket.send(`40${JSON.stringify(auth)}`);
  const reply = await socket.next((packet) => packet.startsWith('40'), 'CONNECT reply');
  socket.pid = JSON.parse(reply.slice(2)).pid;
  return socket;
}

class RawSocket {
  /** Engine.IO packets so far. */
  packets = [];
  pid;
  /** Settles when the connection has ended. */
  closed;
  #tcp;
  #unread = Buffer.alloc(0);
  #upgraded = false;
  #events = [];
  #listeners = new Set();

  constructor(tcp) {
    this.#tcp = tcp;
    // A reset is an end like another.
    this.closed = new Promise((resolve) => tcp.on('error', () => {}).once('close', resolve));
    tcp.on('data', (chunk) => this.#read(chunk));
  }

  /** Sends an Engine.IO packet. */
  send(packet) {
    this.#send(TEXT, Buffer.from(packet));
  }

  /** Sends an attachment. */
  sendBinary(bytes) {
    this.#send(BINARY, bytes);
  }

  #send(opcode, payload) {
    const length = payload.length < 126 ? [0x80 | payload.length] : [0x80 | 126, payload.length >> 8, payload.length & 255];
    // A mask of zeros leaves the payload as it is.
    this.#tcp.write(Buffer.concat([Buffer.from([0x80 | opcode, ...length, 0, 0, 0, 0]), payload]));
  }

  /** Sends bytes as they are. */
  write(bytes) {
    this.#tcp.write(bytes);
  }

  /** Emits a Socket.IO event. */
  emit(...event) {
    this.send(`42${JSON.stringify(event)}`);
  }

  /** The first packet that matches, also one that is here already. */
  next(matches, what) {
    const arrived = new Promise((resolve) => {
      const found = this.packets.find(matches);
      if (found) return resolve(found);
      const listen = (packet) => {
        if (!matches(packet)) return;
        this.#listeners.delete(listen);
        resolve(packet);
      };
      this.#listeners.add(listen);
    });
    return within(arrived, what);
  }

  /** The arguments of all events of this name so far. */
  events(name) {
    return this.#events.filter(([event]) => event === name).map(([, ...args]) => args);
  }

  /** The last argument of the last event that ends in a string, as the official client keeps it. */
  get offset() {
    return this.#events.map((event) => event.at(-1)).findLast((last) => typeof last === 'string');
  }

  /** Reads nothing more from the network: the buffers between fill. */
  stopReading() {
    this.#tcp.pause();
  }

  readAgain() {
    this.#tcp.resume();
  }

  end() {
    this.#tcp.destroy();
  }

  #read(chunk) {
    this.#unread = Buffer.concat([this.#unread, chunk]);
    if (!this.#upgraded) {
      const end = this.#unread.indexOf('\r\n\r\n');
      if (end < 0) return;
      this.#upgraded = true;
      this.#unread = this.#unread.subarray(end + 4);
    }
    for (let frame = this.#frame(); frame; frame = this.#frame()) this.#take(frame);
  }

  /** A server's frames are not masked, and ours are never fragmented. */
  #frame() {
    const all = this.#unread;
    if (all.length < 2) return null;
    const short = all[1] & 127;
    const start = { 126: 4, 127: 10 }[short] ?? 2;
    if (all.length < start) return null;
    const length = short === 126 ? all.readUInt16BE(2) : short === 127 ? Number(all.readBigUInt64BE(2)) : short;
    if (all.length < start + length) return null;
    this.#unread = all.subarray(start + length);
    return { kind: all[0] & 15, payload: all.subarray(start, start + length) };
  }

  #take({ kind, payload }) {
    if (kind === CLOSE) return this.#tcp.end();
    if (kind !== TEXT) return;
    const packet = payload.toString();
    // A ping.
    if (packet === '2') return this.send('3');
    this.packets.push(packet);
    if (packet.startsWith('42[')) this.#events.push(JSON.parse(packet.slice(2)));
    for (const listen of this.#listeners) listen(packet);
  }
}

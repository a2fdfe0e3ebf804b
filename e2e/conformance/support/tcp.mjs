// A bare TCP connection: bytes out, and bytes in until something whole has come.
import { once } from 'node:events';
import { connect } from 'node:net';

/** Far above what any answer takes, also on a busy machine. */
export const LIMIT_MS = 6_000;

export class Tcp {
  #socket;
  #received = Buffer.alloc(0);
  #ended = false;
  #wake = () => {};

  constructor(socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (bytes) => {
      this.#received = Buffer.concat([this.#received, bytes]);
      this.#wake();
    });
    // A reset is an end like any other: which of both it is depends on what was still unread.
    socket.on('error', () => {});
    for (const event of ['end', 'close']) {
      socket.on(event, () => {
        this.#ended = true;
        this.#wake();
      });
    }
  }

  static async connect(port) {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    await once(socket, 'connect');
    return new Tcp(socket);
  }

  /** Resolves when the bytes have left this process; or could not, as the other side is gone. */
  write(bytes) {
    return new Promise((resolve) => this.#socket.write(bytes, resolve));
  }

  /** Says that nothing more will come. */
  end() {
    this.#socket.end();
  }

  /** Goes away. */
  destroy() {
    this.#socket.destroy();
  }

  /**
   * What `parse` makes of the bytes received, as soon as it makes `[value, length]` of them: the value. At the end of
   * the connection: undefined.
   */
  async take(parse) {
    const deadline = Date.now() + LIMIT_MS;
    for (;;) {
      const parsed = parse(this.#received, this.#ended);
      if (parsed) {
        this.#received = this.#received.subarray(parsed[1]);
        return parsed[0];
      }
      if (this.#ended) return undefined;
      await this.#news(deadline - Date.now());
    }
  }

  #news(limit) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`silence after ${this.#received.toString('latin1')}`)), limit);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

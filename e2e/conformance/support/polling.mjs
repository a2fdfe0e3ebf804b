// A long-polling session, request by request.
import { exchange, request, shown } from './http.mjs';

const SEPARATOR = '\x1e';

export class Polling {
  constructor(server, sid) {
    this.server = server;
    this.sid = sid;
  }

  static async open(server) {
    const { body } = await exchange(server, request(server, 'GET'));
    return new Polling(server, JSON.parse(body.slice(1)).sid);
  }

  /** The bytes of a request of this session. */
  request(method, options = {}) {
    return request(this.server, method, { ...options, query: `sid=${this.sid}` });
  }

  get() {
    return exchange(this.server, this.request('GET'));
  }

  post(body, headers = ['Content-Type: text/plain;charset=UTF-8']) {
    return exchange(this.server, this.request('POST', { body, headers }));
  }

  /**
   * What the session still answers, after everything that was sent before: the packets up to the echo of a last
   * message, or the error that says that the session is gone. Heartbeats are answered and left out.
   */
  async rest() {
    const packets = [];
    const posted = await this.post('4fence');
    if (posted?.status !== 200) return [`post: ${shown(posted)}`];
    while (!packets.includes('4fence')) {
      const answer = await this.get();
      if (answer?.status !== 200) return [...packets, `get: ${shown(answer)}`];
      for (const packet of answer.body.split(SEPARATOR)) {
        if (packet === '2') await this.post('3');
        else packets.push(packet);
      }
    }
    return packets;
  }
}

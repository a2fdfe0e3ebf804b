// Pairs that chat on and on while something happens to the servers.
import assert from 'node:assert/strict';
import { done, eventually, history, newMatch, connect, pause, seen, sendReliably } from './people.mjs';

/** A person sends the next message so long after the ack of the last. */
const PAUSE_MS = 20;
const HEAL_LIMIT_MS = 30_000;

/** Starts so many pairs, one member of each on each gateway, both with the chat open, and both sending. */
export async function chatter(stack, pairs) {
  const talks = await Promise.all(Array.from({ length: pairs }, () => open(stack)));
  return new Chatter(stack, talks);
}

async function open(stack) {
  const match = await newMatch(stack);
  const sockets = await Promise.all(match.members.map((user, gateway) => connect(stack, user, { gateway })));
  await Promise.all(sockets.map((socket) => done(socket, 'join_chat', match.id)));
  return { match, sockets, acked: [[], []] };
}

class Chatter {
  #stack;
  #talks;
  #stopped = false;
  #sending;
  /** How long each send took until its ack, by when that came. */
  #waits = [];
  #began = Date.now();

  constructor(stack, talks) {
    this.#stack = stack;
    this.#talks = talks;
    this.#sending = Promise.all(talks.flatMap((talk) => [0, 1].map((side) => this.#send(talk, side))));
    // Told by stop().
    this.#sending.catch(() => {});
  }

  async #send({ match, sockets, acked }, side) {
    for (let i = 0; !this.#stopped; i += 1) {
      const began = Date.now();
      const body = `${side}-${i}`;
      const { seq } = await sendReliably(sockets[side], match.id, body, body);
      this.#waits.push({ began, ended: Date.now() });
      acked[side].push({ seq, body });
      await pause(PAUSE_MS);
    }
  }

  /** Until everybody has had so many more messages acked. */
  async progress(messages = 10) {
    const counts = () => this.#talks.flatMap(({ acked }) => acked.map((list) => list.length));
    const before = counts();
    await eventually(() => counts().every((count, i) => count >= before[i] + messages), 'acks for all', HEAL_LIMIT_MS);
  }

  /** Since `from`: the longest wait of anybody for an ack, and the longest time in which nobody got one. */
  stalls(from = this.#began) {
    const since = this.#waits.filter(({ ended }) => ended >= from);
    const ends = [from, ...since.map(({ ended }) => ended).sort((a, b) => a - b)];
    return {
      one: Math.max(...since.map(({ began, ended }) => ended - began)),
      all: Math.max(...ends.slice(1).map((end, i) => end - ends[i])),
      acks: since.length,
    };
  }

  /** Everybody stops; then each message is stored once, under the seq of its ack, and delivered in its sender's order. */
  async stop() {
    this.#stopped = true;
    await this.#sending;
    for (const { match, sockets, acked } of this.#talks) {
      const stored = await history(this.#stack, match);
      const all = acked.flat();
      assert.deepEqual(
        stored.map(({ seq, message }) => [seq, message]),
        all.sort((a, b) => a.seq - b.seq).map(({ seq, body }) => [seq, body]),
        'what was acked is what is stored',
      );
      assert.deepEqual(stored.map(({ seq }) => seq), stored.map((_, i) => i + 1), 'without a gap');
      for (const side of [0, 1]) {
        const mine = stored.filter(({ senderId }) => senderId === match.members[side]).map(({ message }) => message);
        assert.deepEqual(mine, mine.map((_, i) => `${side}-${i}`), 'in the order of its sender');
        const received = () => seen(sockets[1 - side], 'receive_message').map(({ message }) => message);
        await eventually(() => received().length >= mine.length, 'all messages at the other side', HEAL_LIMIT_MS);
        assert.deepEqual(received(), mine, 'delivered once, in order');
      }
    }
    return this.#waits.length;
  }
}

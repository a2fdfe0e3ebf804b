// Many devices in several chats each, who keep talking through whatever happens, and what each must have heard in the
// end.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { connected, done, eventually, history, newMatch, pause, seen, sendReliably, socketOf } from './people.mjs';

const TRANSPORTS = [['polling'], ['websocket'], ['polling', 'websocket']];
const COMES_BACK_SOON = { reconnectionDelay: 50, reconnectionDelayMax: 500 };
const CONVERGED_WITHIN_MS = 30_000;
const BETWEEN_SENDS_MS = 150;

/** The limits that a crowd talks and reads past. */
export const CROWD_LIMITS = { LIMIT_SENDS: '1000/1000', LIMIT_HISTORY: '1000/1000' };

/**
 * People in a ring, each in a chat with the next two on either side, each with a phone that talks and a tablet that
 * listens; and some who hear nothing: half of them in a silent chat, half in none.
 */
export async function gather(stack, { url, people = 12, silent = 6 }) {
  const names = Array.from({ length: people }, () => `c-${randomUUID()}`);
  const pairs = names.flatMap((name, i) => [1, 2].map((step) => [name, names[(i + step) % people]]));
  const chats = await Promise.all(pairs.map((members) => newMatch(stack, members)));
  const talkers = names.flatMap((name, i) => {
    const own = chats.filter(({ members }) => members.includes(name));
    return ['phone', 'tablet'].map((kind, k) => ({ label: `${kind}${i}`, name, chats: own, transport: i + k }));
  });
  const quiet = await Promise.all(
    Array.from({ length: silent }, async (_, i) => {
      const { id, alice } = await newMatch(stack);
      return { label: `silent${i}`, name: alice, chats: i % 2 ? [{ id }] : [], transport: i };
    }),
  );
  const crowd = new Crowd(stack, chats, [...talkers, ...quiet].map((device) => deviceOf(stack, url, device)));
  await Promise.all(crowd.devices.map(open));
  return crowd;
}

function deviceOf(stack, url, { transport, name, ...device }) {
  const transports = TRANSPORTS[transport % TRANSPORTS.length];
  const socket = socketOf(stack, name, { url, transports, ...COMES_BACK_SOON });
  const comebacks = [];
  socket.once('connect', () => socket.on('connect', () => comebacks.push(socket.recovered)));
  return { ...device, socket, comebacks };
}

async function open({ socket, chats }) {
  await connected(socket);
  for (const { id } of chats) await done(socket, 'join_chat', { matchId: id, keepOthers: true });
}

class Crowd {
  #stack;
  #chats;
  #talking = [];
  #isTalking = false;
  #acks = [];

  constructor(stack, chats, devices) {
    this.#stack = stack;
    this.#chats = chats;
    this.devices = devices;
  }

  /** Every phone says something in one of its chats after the other, as a client is to do it, until `hush`. */
  talk() {
    this.#isTalking = true;
    const phones = this.devices.filter(({ label }) => label.startsWith('phone'));
    this.#talking = phones.map((phone) => this.#talkOn(phone));
  }

  async #talkOn({ label, chats, socket }) {
    for (let n = 0; this.#isTalking; n += 1) {
      const chat = chats[n % chats.length];
      const message = `${label}:${this.#acks.length}:${n}`;
      const { seq } = await sendReliably(socket, chat.id, message, message);
      this.#acks.push({ chat, seq, message });
      await pause(BETWEEN_SENDS_MS);
    }
  }

  /** Lets everybody finish what they say. Fails if a send failed for good. */
  async hush() {
    this.#isTalking = false;
    await Promise.all(this.#talking);
  }

  /** Waits until so many more sends are acked. */
  async goesOn(sends = 60) {
    const goal = this.#acks.length + sends;
    await eventually(() => this.#acks.length >= goal, `${sends} more sends`, CONVERGED_WITHIN_MS);
  }

  /** Waits until every device is connected and these came back since their count was taken. */
  async isBack(before = this.comebacks()) {
    const missing = () => this.devices.filter(({ socket }, i) => !socket.connected || this.comebacks()[i] < before[i]);
    await eventually(() => missing().length === 0, 'everybody is back', CONVERGED_WITHIN_MS).catch((error) => {
      throw new Error(`${error.message}: ${missing().map(({ label }) => label)}`);
    });
  }

  /** How often each device has come back so far. */
  comebacks() {
    return this.devices.map(({ comebacks }) => comebacks.length);
  }

  /** Every acked message is stored once; every device has what others said in its chats, once, in order, and nothing of its own. */
  async assertComplete() {
    // A device without a chat has no cursor to bring.
    for (const { label, chats, comebacks } of this.devices) {
      const isRight = comebacks.every((recovered) => recovered === chats.length > 0);
      assert.ok(isRight, `${label} with ${chats.length} chats was recovered: ${comebacks}`);
    }
    const stored = new Map(
      await Promise.all(this.#chats.map(async (chat) => [chat.id, await history(this.#stack, chat)])),
    );
    this.#assertStored(stored);
    for (const device of this.devices) {
      for (const chat of device.chats) await assertHeard(device, chat, stored.get(chat.id) ?? []);
    }
  }

  #assertStored(stored) {
    for (const messages of stored.values()) {
      assert.equal(new Set(messages.map(({ message }) => message)).size, messages.length, 'each is stored once');
    }
    for (const { chat, seq, message } of this.#acks) assert.equal(stored.get(chat.id)[seq - 1]?.message, message);
  }
}

async function assertHeard({ label, socket }, chat, stored) {
  const expected = stored.filter(({ message }) => !message.startsWith(`${label}:`)).map(({ seq }) => seq);
  const heard = () =>
    seen(socket, 'receive_message')
      .filter(({ matchId }) => matchId === chat.id)
      .map(({ seq }) => seq);
  // More than was expected fails below.
  const isThere = () => heard().length >= expected.length;
  await eventually(isThere, `${label} hears all of ${chat.id}`, CONVERGED_WITHIN_MS).catch((error) => {
    const has = new Set(heard());
    throw new Error(`${error.message}: ${expected.filter((seq) => !has.has(seq))} of ${expected.length} are missing`);
  });
  assert.deepEqual(heard(), expected, label);
}

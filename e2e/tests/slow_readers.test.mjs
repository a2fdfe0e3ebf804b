// A client that stops reading is cut off, costs its neighbours nothing, and is given what it missed when it comes back.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { done, eventually, joinedPair, seen, upTo, userToken, within } from './support/people.mjs';
import { rawSocket } from './support/raw_websocket.mjs';
import { useStack } from './support/stack.mjs';

/** Objects of nearly 16 KiB, which are sent twice in each message: as they are, and spread. */
const LARGE = 'x'.repeat(15_000);
const QUIET_SENDS = 40;
/** More than all buffers between the gateway and a client hold. */
const MAX_SENDS = 900;
/** How much slower the neighbours may be on two busy cores. A gateway that waited for the slow one would be slower by seconds. */
const SLOWER_AT_MOST = 5;
const NOISE_MS = 50;

describe('a client that stops reading', () => {
  const stack = useStack({
    gateways: 2,
    replicas: 1,
    env: { LIMIT_SENDS: '10000/10000', LIMIT_EVENTS: '10000/10000' },
  });

  /** How many sockets have gone for this reason. */
  async function gone(reason) {
    const page = await (await fetch(`${stack.url(1)}/metrics`)).text();
    const line = page.split('\n').find((line) => line.startsWith('gateway_disconnects') && line.includes(`"${reason}"`));
    return Number(line?.split(' ').at(-1) ?? 0);
  }

  const cutOff = async () => (await gone('queue_full')) + (await gone('write_timeout'));

  /** Says a large thing and returns how long its ack took, in milliseconds. */
  async function say(socket, match) {
    const began = performance.now();
    await done(socket, 'send_message', { matchId: match.id, message: { LARGE } });
    return performance.now() - began;
  }

  /** Talks until one socket is cut off; returns how long the acks took. */
  async function talkUntilOneIsCutOff(socket, match) {
    const before = await cutOff();
    const took = [];
    while ((await cutOff()) === before && took.length < MAX_SENDS) {
      for (let i = 0; i < 10; i += 1) took.push(await say(socket, match));
    }
    assert.equal(await cutOff(), before + 1, `cut off after ${took.length} messages`);
    return took;
  }

  const seqs = (raw) => raw.events('receive_message').map(([{ seq }]) => seq);

  /** Who has read so many messages comes back to another gateway and is given the others, and what is said then. */
  async function assertRecovers({ auth, pid, offset, read }, socket, match) {
    const { lastSeq: sent } = await done(socket, 'join_chat', match.id);
    assert.deepEqual(read, upTo(read.length));
    assert.ok(read.length < sent, 'it missed some');
    const back = await rawSocket(stack.url(0), { ...auth, pid, offset });
    assert.equal(back.pid, pid, 'recovered');
    await say(socket, match);
    await eventually(() => read.length + seqs(back).length > sent, 'what it missed');
    assert.deepEqual([...read, ...seqs(back)], upTo(sent + 1));
    back.end();
  }

  test('is cut off, its neighbours notice nothing, and it recovers', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const auth = { token: userToken(stack, match.bob) };
    const slow = await rawSocket(stack.url(1), auth);
    slow.emit('join_chat', match.id);
    await slow.next((packet) => packet.startsWith('42["chat_joined"'), 'chat_joined');
    const quiet = [];
    while (quiet.length < QUIET_SENDS) quiet.push(await say(alice, match));
    await eventually(() => seqs(slow).length === QUIET_SENDS, 'all so far');

    slow.stopReading();
    const busy = await talkUntilOneIsCutOff(alice, match);
    const [usual, during] = [quiet, busy].map(median);
    assert.ok(during <= SLOWER_AT_MOST * usual + NOISE_MS, `${usual} ms before, ${during} ms while it did not read`);
    const sent = quiet.length + busy.length;
    await eventually(() => seen(bob, 'receive_message').length === sent, "the neighbour's messages");
    assert.deepEqual(seen(bob, 'receive_message').map(({ seq }) => seq), upTo(sent));

    slow.readAgain();
    await within(slow.closed, 'end of its connection');
    await assertRecovers({ auth, pid: slow.pid, offset: slow.offset, read: seqs(slow) }, alice, match);
  });

  test('is cut off as well when it polls no more', async () => {
    const { match, alice } = await joinedPair(stack);
    const auth = { token: userToken(stack, match.bob) };
    const endpoint = `${stack.url(1)}/socket.io/?EIO=4&transport=polling`;
    const packets = async (url) => (await (await fetch(url)).text()).split('\x1e');
    const [open] = await packets(endpoint);
    const session = `${endpoint}&sid=${JSON.parse(open.slice(1)).sid}`;
    const post = (body) => fetch(session, { method: 'POST', body });
    await post(`40${JSON.stringify(auth)}`);
    const [reply] = await packets(session);
    await post(`42${JSON.stringify(['join_chat', match.id])}`);
    const [joined] = await packets(session);

    await talkUntilOneIsCutOff(alice, match);
    const unknown = await fetch(session);
    assert.deepEqual([unknown.status, (await unknown.json()).code], [400, 1]);
    const { pid } = JSON.parse(reply.slice(2));
    const offset = JSON.parse(joined.slice(2)).at(-1);
    await assertRecovers({ auth, pid, offset, read: [] }, alice, match);
  });
});

function median(numbers) {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

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

  test('is cut off, its neighbours notice nothing, and it recovers', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const auth = { token: userToken(stack, match.bob) };
    const slow = await rawSocket(stack.url(1), auth);
    slow.emit('join_chat', match.id);
    await slow.next((packet) => packet.startsWith('42["chat_joined"'), 'chat_joined');

    let sent = 0;
    const say = async () => {
      const began = performance.now();
      await done(alice, 'send_message', { matchId: match.id, message: { number: (sent += 1), LARGE } });
      return performance.now() - began;
    };
    const quiet = [];
    while (quiet.length < QUIET_SENDS) quiet.push(await say());
    const heard = () => slow.events('receive_message').length;
    await eventually(() => heard() === QUIET_SENDS, 'all so far');

    slow.stopReading();
    const before = await cutOff();
    const busy = [];
    while ((await cutOff()) === before && sent < MAX_SENDS) {
      for (let i = 0; i < 10; i += 1) busy.push(await say());
    }
    assert.equal(await cutOff(), before + 1, `cut off after ${busy.length} messages`);
    const [usual, during] = [quiet, busy].map(median);
    assert.ok(during <= SLOWER_AT_MOST * usual + NOISE_MS, `${usual} ms before, ${during} ms while it did not read`);
    await eventually(() => seen(bob, 'receive_message').length === sent, "the neighbour's messages");
    assert.deepEqual(seen(bob, 'receive_message').map(({ seq }) => seq), upTo(sent));

    slow.readAgain();
    await within(slow.closed, 'end of its connection');
    const read = slow.events('receive_message').map(([{ seq }]) => seq);
    assert.deepEqual(read, upTo(read.length));
    assert.ok(read.length < sent, 'it missed some');

    const back = await rawSocket(stack.url(0), { ...auth, pid: slow.pid, offset: slow.offset });
    assert.equal(back.pid, slow.pid, 'recovered');
    const missed = () => back.events('receive_message').map(([{ seq }]) => seq);
    await eventually(() => read.length + missed().length >= sent, 'what it missed');
    await say();
    await eventually(() => read.length + missed().length >= sent, 'and what follows');
    assert.deepEqual([...read, ...missed()], upTo(sent));
    back.end();
  });
});

function median(numbers) {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

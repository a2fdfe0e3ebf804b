// A live call and a client that comes back without a cursor: the call goes on, on its new socket.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { callersOf, steps } from './support/callers.mjs';
import { ask, comeBack, done, eventually, next, pause, refused, seen } from './support/people.mjs';
import { useStack } from './support/stack.mjs';

// Gateways renew a lease every 15 s.
const LEASE_S = 18;
const ALIVE_FOR_MS = (LEASE_S + 2) * 1_000;

const stack = useStack({
  milestones: [{ id: 'first', messages: 1, unlocks: ['video_call'] }],
  env: { LEASE_S },
});

const { ringing, talking } = callersOf(stack);

/** Ways to come back as somebody whose recovery is refused. */
const LOSSES = {
  'has no offset': (socket) => delete socket._lastOffset,
  'has one of a later version': (socket) => (socket._lastOffset = `3~${socket._pid.slice(0, 8)}~00000000~m:1:1`),
};

/** The other one hears each signal of one, and one hears each of the other. */
async function assertTalk(one, other, { callId }) {
  for (const [from, to] of [[one, other], [other, one]]) {
    const heard = next(to, 'video_call_signal');
    // UNAVAILABLE while the other one's new socket takes its place.
    await eventually(async () => (await ask(from, 'video_call_signal', { callId, candidate: from.id })).ok, 'the ack');
    assert.deepEqual(await heard, { callId, candidate: from.id });
  }
}

describe('a client that is not recovered', { concurrency: 4 }, () => {
  for (const [loss, lose] of Object.entries(LOSSES)) {
    for (const side of ['caller', 'callee']) {
      test(`goes on with its call as the ${side} when it ${loss}`, async () => {
        const { alice, bob, of } = await talking();
        const [back, other] = side === 'caller' ? [alice, bob] : [bob, alice];
        const { id } = back;
        lose(back);
        await comeBack(stack, back);
        assert.equal(back.recovered, false);
        assert.notEqual(back.id, id, 'another device');
        await assertTalk(back, other, of);
        const ended = next(other, 'video_call_ended');
        await done(back, 'video_call_ended', of);
        assert.deepEqual(await ended, { ...of, reason: 'completed' });
      });
    }
  }

  test('hears that its call was accepted meanwhile', async () => {
    const { alice, bob, of } = await ringing();
    delete alice._lastOffset;
    const accept = () => done(bob, 'video_call_accepted', { ...of, signal: { sdp: 'answer' } });
    await comeBack(stack, alice, { meanwhile: accept });
    await eventually(() => steps(alice, of.callId).length > 0, 'the acceptance');
    assert.deepEqual(seen(alice, 'video_call_accepted'), [{ ...of, signal: { sdp: 'answer' } }]);
    await assertTalk(alice, bob, of);
  });

  test('hears that its ring is accepted later, and its callee that it goes on to ring', async () => {
    const { alice, bob, of } = await ringing();
    delete alice._lastOffset;
    await comeBack(stack, alice);
    delete bob._lastOffset;
    await comeBack(stack, bob, { gateway: 0 });
    await eventually(() => seen(bob, 'video_call_incoming').length === 2, 'the ring, on the new socket');
    const accepted = next(alice, 'video_call_accepted');
    await done(bob, 'video_call_accepted', of);
    await accepted;
    await assertTalk(alice, bob, of);
  });

  test('signals at once, before anything else, and the other one hears it', async () => {
    const { alice, bob, of } = await talking();
    delete alice._lastOffset;
    const heard = next(bob, 'video_call_signal');
    const acked = new Promise((resolve) => {
      alice.once('connect', () => alice.emit('video_call_signal', { callId: of.callId, n: 1 }, resolve));
    });
    await comeBack(stack, alice);
    assert.equal((await acked).ok, true);
    assert.deepEqual(await heard, { callId: of.callId, n: 1 });
  });

  test('keeps its lease, also when it comes back again and again', async () => {
    const { alice, bob, of } = await talking();
    for (const gateway of [1, 0, 1]) {
      for (const socket of [alice, bob]) {
        delete socket._lastOffset;
        await comeBack(stack, socket, { gateway });
      }
    }
    await assertTalk(alice, bob, of);
    await pause(ALIVE_FOR_MS);
    assert.deepEqual(steps(alice, of.callId).filter((step) => step.startsWith('ended')), []);
    await assertTalk(alice, bob, of);
  });

  test('of another device leaves the call where it is', async () => {
    const { alice, bob, tablet, of } = await talking();
    delete tablet._lastOffset;
    await comeBack(stack, tablet);
    assert.equal((await refused(tablet, 'video_call_signal', { callId: of.callId })).code, 'CALL_STATE_CONFLICT');
    await assertTalk(alice, bob, of);
  });

  test('with the pid of another user takes nothing over', async () => {
    const { alice, bob, tablet, of } = await talking();
    tablet._pid = alice._pid;
    delete tablet._lastOffset;
    await comeBack(stack, tablet);
    assert.equal((await refused(tablet, 'video_call_signal', { callId: of.callId })).code, 'CALL_STATE_CONFLICT');
    await assertTalk(alice, bob, of);
  });

  test('with a socket left behind takes the call from it, and closes it', async () => {
    const { alice, bob, tablet, of } = await talking();
    const closed = new Promise((resolve) => bob.once('disconnect', resolve));
    bob.io.reconnection(false);
    tablet._pid = bob._pid;
    delete tablet._lastOffset;
    await comeBack(stack, tablet);
    await closed;
    await assertTalk(alice, tablet, of);
    assert.deepEqual(seen(bob, 'video_call_signal'), []);
  });
});

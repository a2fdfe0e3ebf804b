// What became of a call while a device was away, and a database that was restored meanwhile.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { useStack } from './support/stack.mjs';
import { comeBack, connect, connected, done, eventually, newMatch, next, pause, seen } from './support/people.mjs';
import { callersOf, steps } from './support/callers.mjs';
import { sql } from './support/raw.mjs';

// As long as signaling-service repeats a step, and longer.
const AWAY_MS = [0, 1_500, 4_500];

describe('a device that was away', { concurrency: 8 }, () => {
  const stack = useStack({ milestones: [{ id: 'first', messages: 1, unlocks: ['video_call'] }] });
  const { callers, ringing, talking } = callersOf(stack);

  const back = (socket, options) => comeBack(stack, socket, options);
  /** The cursor behind the last event of this name. */
  const cursorOf = (socket, name) => socket.received.findLast(([event]) => event === name)?.[2];

  test('has the call in its cursor, in each event that tells of it', async () => {
    const { alice, bob, tablet, of } = await talking();
    const ended = next(alice, 'video_call_ended');
    await done(bob, 'video_call_ended', of);
    await ended;
    for (const [socket, name, version] of [
      [tablet, 'video_call_incoming', 1],
      [alice, 'video_call_accepted', 2],
      [tablet, 'video_call_ended', 2],
      [alice, 'video_call_ended', 3],
    ]) {
      assert.match(cursorOf(socket, name), new RegExp(`^2~.{8}~[0-9a-f]{8}~!${of.callId}:${version}$`), name);
    }
  });

  for (const ms of AWAY_MS) {
    test(`for ${ms} ms while it spoke hears the end, and one that did not answer hears that`, async () => {
      const { alice, bob, tablet, of } = await talking();
      await back(alice, { meanwhile: async () => {
        await done(bob, 'video_call_ended', of);
        await pause(ms);
      } });
      await eventually(() => steps(alice, of.callId).includes('ended completed'), 'the end');
      await back(tablet);
      await back(alice, { gateway: 0 });
      await pause(1_500);
      assert.deepEqual(steps(alice, of.callId), ['accepted', 'ended completed']);
      assert.deepEqual(steps(tablet, of.callId), ['incoming', 'ended answered_elsewhere']);
    });

    test(`for ${ms} ms while it rang hears that it rings no more`, async () => {
      const { alice, bob, of } = await ringing();
      await back(bob, { gateway: 0, meanwhile: async () => {
        await done(alice, 'video_call_ended', of);
        await pause(ms);
      } });
      await eventually(() => steps(bob, of.callId).length > 1, 'the end');
      await back(bob);
      await pause(1_500);
      assert.deepEqual(steps(bob, of.callId), ['incoming', 'ended cancelled']);
    });

    test(`for ${ms} ms right after it rang hears how that went`, async () => {
      // Nothing but the ack has told it of its call: its cursor does not name it.
      const { alice, match, bob } = await callers();
      const rung = next(bob, 'video_call_incoming');
      const { callId } = await done(alice, 'video_call_request', { matchId: match.id });
      await rung;
      await back(alice, { meanwhile: async () => {
        await done(bob, 'video_call_rejected', { matchId: match.id, callId });
        await pause(ms);
      } });
      await eventually(() => steps(alice, callId).length > 0, 'the end');
      await pause(1_500);
      assert.deepEqual(steps(alice, callId), ['rejected declined']);
    });
  }

  test('hears nothing of a call that it never heard of', async () => {
    const { alice, bob, match } = await callers();
    const rung = next(bob, 'video_call_incoming');
    const { callId } = await done(alice, 'video_call_request', { matchId: match.id });
    await rung;
    await done(alice, 'video_call_ended', { matchId: match.id, callId });
    await pause(4_000);
    const late = await connect(stack, match.bob);
    await back(late);
    await done(late, 'join_chat', match.id);
    assert.deepEqual(steps(late, callId), []);
  });
});

describe('a database that was restored', () => {
  const stack = useStack();

  test('recovers nothing of what was before, and closes nobody who has no chat open', async () => {
    const match = await newMatch(stack);
    const [alice, bob] = await Promise.all([connect(stack, match.alice), connect(stack, match.bob, { gateway: 1 })]);
    const { epoch } = await done(alice, 'join_chat', match.id);
    assert.match(epoch, /^[0-9a-f]{8}$/);
    await done(alice, 'send_message', { matchId: match.id, message: 'before' });
    const pid = alice._pid;
    const gone = new Promise((resolve) => alice.once('disconnect', resolve));
    await sql(stack, "UPDATE epochs SET epoch = 'f00dbabe'");
    assert.equal(await gone, 'transport close');
    await connected(alice);
    assert.equal(alice.recovered, false);
    assert.notEqual(alice._pid, pid);
    assert.equal(bob.connected, true);
    for (const socket of [alice, bob]) {
      assert.equal((await done(socket, 'join_chat', match.id)).epoch, 'f00dbabe');
    }
    await done(alice, 'send_message', { matchId: match.id, message: 'after' });
    await eventually(() => seen(bob, 'receive_message').length === 1, 'the message');
    assert.match(bob._lastOffset, /^2~.{8}~f00dbabe~/);
    await comeBack(stack, bob, { gateway: 0 });
    assert.equal(bob.recovered, true);
  });
});

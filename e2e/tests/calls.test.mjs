// Calls between two people with several devices: every step reaches whom it concerns, once, and both sides agree.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { useStack } from './support/stack.mjs';
import {
  ask,
  connect,
  done,
  eventually,
  newMatch,
  next,
  pause,
  refused,
  rest,
  seen,
  serviceToken,
  upTo,
} from './support/people.mjs';
import { callersOf, steps } from './support/callers.mjs';
import { askRaw, redis } from './support/raw.mjs';

const SIGNALING_SERVICES = ['signaling-service-0', 'signaling-service-1'];
const RING_S = 3;
// Gateways renew a lease every 15 s.
const LEASE_S = 18;

const stack = useStack({
  milestones: [{ id: 'first', messages: 1, unlocks: ['video_call'] }],
  args: ['--ring-timeout-s', RING_S],
  env: { LEASE_S },
});

const { callers, ringing, talking } = callersOf(stack);

describe('a call', { concurrency: 6 }, () => {
  test('needs the milestone, and the refusal says how much is missing', async () => {
    const match = await newMatch(stack);
    const alice = await connect(stack, match.alice);
    const error = await refused(alice, 'video_call_request', { matchId: match.id });
    assert.deepEqual([error.code, error.remaining, error.retryable], ['MILESTONE_REQUIRED', 1, false]);
    const told = next(alice, 'call_error');
    alice.emit('video_call_request', { matchId: match.id });
    const { code, remaining } = await told;
    assert.deepEqual([code, remaining], ['MILESTONE_REQUIRED', 1]);
  });

  test('rings on all devices of the callee, on any gateway, joined or not', async () => {
    const { match, call, incoming, of } = await ringing({ media: { video: true, audio: true } });
    assert.equal(call.state, 'ringing');
    const left = Date.parse(call.expiresAt) - Date.now();
    assert.ok(left > 0 && left <= RING_S * 1_000, `${left} ms`);
    for (const event of incoming) {
      assert.deepEqual(event, {
        ...of,
        caller: match.alice,
        media: { video: true, audio: true },
        expiresAt: call.expiresAt,
      });
    }
  });

  test('rings on a device that connects meanwhile', async () => {
    const { match, incoming, of, alice } = await ringing();
    const late = await connect(stack, match.bob, { gateway: 1 });
    await eventually(() => seen(late, 'video_call_incoming').length > 0, 'the ring');
    assert.deepEqual(seen(late, 'video_call_incoming'), [incoming[0]]);
    const ended = next(late, 'video_call_ended');
    await done(alice, 'video_call_ended', of);
    await ended;
    assert.deepEqual(steps(late, of.callId), ['incoming', 'ended cancelled']);
  });

  test('is taken by the device that accepts first, the others stop ringing', async () => {
    const { alice, bob, tablet, of } = await ringing();
    const accepted = next(alice, 'video_call_accepted');
    const elsewhere = next(tablet, 'video_call_ended');
    const ack = await done(bob, 'video_call_accepted', { ...of, signal: { sdp: 'answer' } });
    assert.deepEqual([ack.callId, ack.state], [of.callId, 'active']);
    assert.deepEqual(await accepted, { ...of, signal: { sdp: 'answer' } });
    assert.deepEqual(await elsewhere, { ...of, reason: 'answered_elsewhere' });
    assert.equal((await done(bob, 'video_call_accepted', of)).state, 'active', 'again on the same device');
    assert.equal((await refused(tablet, 'video_call_accepted', of)).code, 'CALL_STATE_CONFLICT');
    assert.deepEqual(steps(bob, of.callId), ['incoming']);
  });

  test('is taken by exactly one of two devices that accept at the same time', async () => {
    const { alice, bob, tablet, of } = await ringing();
    const acks = await Promise.all([bob, tablet].map((socket) => ask(socket, 'video_call_accepted', of)));
    assert.deepEqual(acks.map(({ ok }) => ok).sort(), [false, true]);
    const [winner, loser] = acks[0].ok ? [bob, tablet] : [tablet, bob];
    assert.equal(acks.find(({ ok }) => !ok).error.code, 'CALL_STATE_CONFLICT');
    await eventually(() => steps(loser, of.callId).length === 2, 'the other one stops ringing');
    assert.deepEqual(steps(loser, of.callId), ['incoming', 'ended answered_elsewhere']);
    const ended = [alice, winner].map((socket) => next(socket, 'video_call_ended'));
    await done(winner, 'video_call_ended', of);
    await Promise.all(ended);
    assert.deepEqual(steps(alice, of.callId), ['accepted', 'ended completed']);
    assert.deepEqual(steps(winner, of.callId), ['incoming', 'ended completed']);
  });

  test('can be accepted and rejected without naming it', async () => {
    const { match, alice, bob, of } = await ringing();
    const accepted = next(alice, 'video_call_accepted');
    bob.emit('video_call_accepted', { matchId: match.id });
    assert.deepEqual(await accepted, of);
    const ended = next(bob, 'video_call_ended');
    alice.emit('video_call_ended', { matchId: match.id });
    assert.deepEqual(await ended, { ...of, reason: 'completed' });
  });

  test('that is rejected tells the caller, and the other devices stop ringing', async () => {
    const { alice, bob, tablet, of } = await ringing();
    const rejected = next(alice, 'video_call_rejected');
    const stopped = next(tablet, 'video_call_ended');
    assert.equal((await done(bob, 'video_call_rejected', of)).state, 'ended');
    assert.deepEqual(await rejected, { ...of, reason: 'declined' });
    assert.deepEqual(await stopped, { ...of, reason: 'declined' });
    assert.equal((await done(bob, 'video_call_rejected', of)).state, 'ended', 'again');
    assert.equal((await refused(bob, 'video_call_accepted', of)).code, 'CALL_NOT_FOUND');
  });

  test('that is rejected or ended with a reason tells it as it is, and not at all if it is too long', async () => {
    const { alice, bob, tablet, of } = await ringing();
    for (const event of ['video_call_rejected', 'video_call_ended']) {
      const error = await refused(bob, event, { ...of, reason: 'é'.repeat(65) });
      assert.equal(error.code, 'INVALID_PAYLOAD');
    }
    assert.deepEqual([steps(alice, of.callId), steps(tablet, of.callId)], [[], ['incoming']], 'it still rings');
    const reason = `${'é'.repeat(62)}👋\n`;
    const rejected = next(alice, 'video_call_rejected');
    const stopped = next(tablet, 'video_call_ended');
    await done(bob, 'video_call_rejected', { ...of, reason });
    assert.deepEqual([await rejected, await stopped], [{ ...of, reason }, { ...of, reason }]);
  });

  test('that the caller cancels stops ringing everywhere', async () => {
    const { alice, bob, tablet, of } = await ringing();
    const stopped = [bob, tablet].map((socket) => next(socket, 'video_call_ended'));
    await done(alice, 'video_call_ended', of);
    for (const event of await Promise.all(stopped)) assert.deepEqual(event, { ...of, reason: 'cancelled' });
    assert.equal((await refused(bob, 'video_call_accepted', of)).code, 'CALL_NOT_FOUND');
  });

  for (const side of ['caller', 'callee']) {
    test(`is ended by the ${side}, for both and once`, async () => {
      const { alice, bob, tablet, of } = await talking();
      const [ender, other] = side === 'caller' ? [alice, bob] : [bob, alice];
      const ended = next(other, 'video_call_ended');
      assert.equal((await done(ender, 'video_call_ended', { ...of, signal: { bye: 1 } })).state, 'ended');
      assert.deepEqual(await ended, { ...of, signal: { bye: 1 }, reason: 'completed' });
      assert.equal((await done(ender, 'video_call_ended', of)).state, 'ended', 'again');
      assert.deepEqual(steps(tablet, of.callId), ['incoming', 'ended answered_elsewhere']);
    });
  }

  test('of accept and cancel at the same instant exactly one wins, and both sides agree', async () => {
    const { alice, bob, of } = await ringing();
    const [accept] = await Promise.all([ask(bob, 'video_call_accepted', of), done(alice, 'video_call_ended', of)]);
    // If the accept came first, the end was that of an accepted call.
    const reason = accept.ok ? 'completed' : 'cancelled';
    if (!accept.ok) assert.equal(accept.error.code, 'CALL_NOT_FOUND');
    await eventually(
      () => [alice, bob].every((socket) => steps(socket, of.callId).at(-1)?.startsWith('ended')),
      'the end',
    );
    assert.equal(steps(bob, of.callId).at(-1), `ended ${reason}`);
    assert.equal(steps(alice, of.callId).at(-1), `ended ${reason}`);
  });

  test('that nobody answers ends for both after the ring time', async () => {
    const { alice, bob, tablet, call, of } = await ringing();
    const ended = [alice, bob, tablet].map((socket) => next(socket, 'video_call_ended'));
    for (const event of await Promise.all(ended)) assert.deepEqual(event, { ...of, reason: 'no_answer' });
    assert.ok(Date.now() >= Date.parse(call.expiresAt), 'not before its time');
    assert.equal((await refused(bob, 'video_call_accepted', of)).code, 'CALL_NOT_FOUND');
  });

  test('is busy for the other side that requests one too, and names the call', async () => {
    const { match, bob, of } = await ringing();
    const error = await refused(bob, 'video_call_request', { matchId: match.id });
    assert.deepEqual([error.code, error.callId], ['CALL_BUSY', of.callId]);
  });

  test('is the same one when it is requested again', async () => {
    const { match, alice, bob, call, of } = await ringing();
    const again = await done(alice, 'video_call_request', { matchId: match.id });
    assert.deepEqual(again, call);
    const ended = next(bob, 'video_call_ended');
    await done(alice, 'video_call_ended', of);
    await ended;
    assert.deepEqual(steps(bob, of.callId), ['incoming', 'ended cancelled']);
  });

  for (const state of ['ringing', 'active']) {
    test(`that is ${state} is refused to the caller's other device, which learns where it is`, async () => {
      const { match, alice, bob, of } = await (state === 'ringing' ? ringing : talking)();
      const laptop = await connect(stack, match.alice, { gateway: 1 });
      const error = await refused(laptop, 'video_call_request', { matchId: match.id });
      assert.deepEqual([error.code, error.callId, error.elsewhere], ['CALL_BUSY', of.callId, true]);
      const told = next(laptop, 'call_error');
      laptop.emit('video_call_request', { matchId: match.id });
      const { code, elsewhere } = await told;
      assert.deepEqual([code, elsewhere], ['CALL_BUSY', true]);
      assert.equal((await refused(bob, 'video_call_request', { matchId: match.id })).elsewhere, undefined);
      assert.equal((await done(alice, 'video_call_request', { matchId: match.id })).callId, of.callId);
    });
  }

  test("is refused to the callee's other device once it was accepted", async () => {
    const { match, tablet, of } = await talking();
    const error = await refused(tablet, 'video_call_request', { matchId: match.id });
    assert.deepEqual([error.code, error.callId, error.elsewhere], ['CALL_BUSY', of.callId, true]);
  });

  test('is one call when two devices request it at the same time, and the other one is told so', async () => {
    const { match, alice, bob } = await callers();
    const laptop = await connect(stack, match.alice, { gateway: 1 });
    const acks = await Promise.all([alice, laptop].map((it) => ask(it, 'video_call_request', { matchId: match.id })));
    const [won, lost] = acks[0].ok ? acks : acks.toReversed();
    assert.deepEqual([won.ok, won.state], [true, 'ringing']);
    assert.deepEqual([lost.error?.code, lost.error?.elsewhere], ['CALL_BUSY', true]);
    const caller = acks[0].ok ? alice : laptop;
    const accepted = next(caller, 'video_call_accepted');
    await done(bob, 'video_call_accepted', { matchId: match.id });
    assert.equal((await accepted).callId, won.callId);
  });

  test('keeps both of its people busy in their other matches, which are not told with whom', async () => {
    const { match, alice, bob, of } = await talking();
    const carol = await callers([`c-${randomUUID()}`, match.bob]);
    const dave = await callers([match.alice, `d-${randomUUID()}`]);
    for (const [socket, other] of [
      [carol.alice, carol],
      [bob, carol],
      [alice, dave],
      [dave.bob, dave],
    ]) {
      const error = await refused(socket, 'video_call_request', { matchId: other.match.id });
      assert.deepEqual([error.code, error.callId], ['CALL_BUSY', undefined]);
    }
    await done(alice, 'video_call_ended', of);
    assert.equal((await done(carol.alice, 'video_call_request', { matchId: carol.match.id })).state, 'ringing');
  });

  test('relays signals both ways, in order, to the two devices that speak', async () => {
    const { match, alice, bob, tablet, of } = await talking();
    const phone2 = await connect(stack, match.alice, { gateway: 1 });
    const signals = (from) =>
      upTo(15).map((n) => ({ callId: of.callId, from, n, candidate: { sdpMid: '0', line: n } }));
    const emit = (socket, from) =>
      Promise.all(signals(from).map((signal) => done(socket, 'video_call_signal', signal)));
    await Promise.all([emit(alice, 'alice'), emit(bob, 'bob')]);
    await eventually(
      () => [alice, bob].every((socket) => seen(socket, 'video_call_signal').length === 15),
      'all signals',
    );
    assert.deepEqual(seen(bob, 'video_call_signal'), signals('alice'));
    assert.deepEqual(seen(alice, 'video_call_signal'), signals('bob'));
    for (const socket of [tablet, phone2]) {
      assert.equal((await refused(socket, 'video_call_signal', { callId: of.callId })).code, 'CALL_STATE_CONFLICT');
      assert.deepEqual(seen(socket, 'video_call_signal'), []);
    }
  });

  test('relays no signal before it is accepted or after its end', async () => {
    const { alice, bob, of } = await ringing();
    for (const socket of [alice, bob]) {
      assert.equal(
        (await refused(socket, 'video_call_signal', { callId: of.callId, n: 1 })).code,
        'CALL_STATE_CONFLICT',
      );
    }
    await done(alice, 'video_call_ended', of);
    assert.equal((await refused(alice, 'video_call_signal', { callId: of.callId })).code, 'CALL_NOT_FOUND');
  });

  for (const others of ['no other device', 'another device']) {
    test(`signals nobody while the other party is away that has ${others}, says so, and goes on afterwards`, async () => {
      const { match, alice, bob, tablet, of } = await talking();
      await done(bob, 'join_chat', match.id);
      if (others === 'no other device') tablet.disconnect();
      bob.io.reconnection(false);
      const gone = new Promise((resolve) => bob.once('disconnect', resolve));
      bob.io.engine.close();
      await gone;
      const offer = { callId: of.callId, description: { type: 'offer', sdp: 'v=0' } };
      const asked = Date.now();
      // What is in the way when the transport closes may still be taken.
      const error = await eventually(async () => (await ask(alice, 'video_call_signal', offer)).error, 'a refusal');
      assert.deepEqual([error.code, error.retryable], ['UNAVAILABLE', true]);
      assert.ok(Date.now() - asked < 3_000, `${Date.now() - asked} ms`);
      const many = await Promise.all(upTo(20).map((n) => ask(alice, 'video_call_signal', { callId: of.callId, n })));
      assert.deepEqual(new Set(many.map(({ error }) => error?.code)), new Set(['UNAVAILABLE']));
      assert.ok(Date.now() - asked < 6_000, 'each signal is not waited for on its own');

      bob.io.uri = stack.url(0);
      bob.connect();
      await eventually(() => bob.connected, 'the reconnect');
      assert.equal(bob.recovered, true);
      const again = { ...offer, again: true };
      await eventually(async () => (await ask(alice, 'video_call_signal', again)).ok, 'the offer');
      await done(alice, 'video_call_signal', { callId: of.callId, last: true });
      await eventually(() => seen(bob, 'video_call_signal').some(({ last }) => last), 'the last signal');
      assert.deepEqual(seen(bob, 'video_call_signal'), [again, { callId: of.callId, last: true }]);
      const heard = next(alice, 'video_call_signal');
      await done(bob, 'video_call_signal', { callId: of.callId, from: 'bob' });
      assert.deepEqual(await heard, { callId: of.callId, from: 'bob' });
      assert.deepEqual(seen(tablet, 'video_call_signal'), []);
    });
  }

  test('passes a burst of signals on, in order', async () => {
    const { alice, bob, of } = await talking();
    const acks = await Promise.all(upTo(100).map((n) => ask(alice, 'video_call_signal', { callId: of.callId, n })));
    assert.deepEqual(new Set(acks.map(({ ok }) => ok)), new Set([true]));
    await eventually(() => seen(bob, 'video_call_signal').length === 100, 'all signals');
    assert.deepEqual(
      seen(bob, 'video_call_signal').map(({ n }) => n),
      upTo(100),
    );
  });

  test('takes media of up to two kilobytes, white space aside', async () => {
    const { match, alice, bob, tablet } = await callers();
    const large = await refused(alice, 'video_call_request', { matchId: match.id, media: 'x'.repeat(2_047) });
    assert.deepEqual([large.code, large.retryable], ['PAYLOAD_TOO_LARGE', false]);
    assert.equal((await refused(alice, 'video_call_ended', { matchId: match.id })).code, 'CALL_NOT_FOUND');
    const rung = [bob, tablet].map((socket) => next(socket, 'video_call_incoming'));
    const media = { note: 'x'.repeat(2_048 - '{"note":""}'.length) };
    const spacious = JSON.stringify({ matchId: match.id, media }, null, 2).replace('{', `{${' '.repeat(9_000)}`);
    const ack = await askRaw(alice, `["video_call_request",${spacious.replace('"note"', `${'\n'.repeat(9_000)}"note"`)}]`);
    assert.equal(ack.state, 'ringing');
    for (const event of await Promise.all(rung)) assert.deepEqual(event.media, media);
  });

  test('is requested six times a minute in a match, through any gateway and on any device', async () => {
    const { match, alice, bob } = await callers();
    const laptop = await connect(stack, match.alice, { gateway: 1 });
    for (const device of [alice, laptop, alice, laptop, alice, laptop]) {
      await done(device, 'video_call_request', { matchId: match.id });
      await done(device, 'video_call_ended', { matchId: match.id });
    }
    for (const device of [alice, laptop]) {
      const error = await refused(device, 'video_call_request', { matchId: match.id });
      assert.deepEqual([error.code, error.retryable], ['RATE_LIMITED', true]);
      assert.ok(error.retryAfterMs > 0 && error.retryAfterMs <= 60_000, `${error.retryAfterMs} ms`);
    }
    assert.equal((await done(bob, 'video_call_request', { matchId: match.id })).state, 'ringing', 'the other side may');
  });

  test('of others does not exist', async () => {
    const { match, of } = await talking();
    const { match: own, alice: mallory } = await callers();
    assert.equal((await refused(mallory, 'video_call_signal', { callId: of.callId })).code, 'CALL_NOT_FOUND');
    for (const event of ['video_call_accepted', 'video_call_rejected', 'video_call_ended']) {
      assert.equal(
        (await refused(mallory, event, { matchId: own.id, callId: of.callId })).code,
        'CALL_NOT_FOUND',
        event,
      );
      assert.equal(
        (await refused(mallory, event, { matchId: match.id, callId: of.callId })).code,
        'MATCH_NOT_FOUND',
        event,
      );
      assert.equal(
        (await refused(mallory, event, { matchId: own.id, callId: randomUUID() })).code,
        'CALL_NOT_FOUND',
        event,
      );
    }
    assert.equal((await refused(mallory, 'video_call_request', { matchId: match.id })).code, 'MATCH_NOT_FOUND');
  });

  test('is told once in each step, though steps are repeated on the way', async () => {
    const { match, alice, bob, tablet, of } = await talking();
    const ended = next(alice, 'video_call_ended');
    await done(bob, 'video_call_ended', of);
    await ended;
    // The steps of the first call are repeated 1 s and 3 s later: when the second has rung out and a third has rung.
    const second = next(alice, 'video_call_ended');
    await done(alice, 'video_call_request', { matchId: match.id });
    assert.equal((await second).reason, 'no_answer');
    const third = [bob, tablet].map((socket) => next(socket, 'video_call_incoming'));
    await done(alice, 'video_call_request', { matchId: match.id });
    await Promise.all(third);
    assert.deepEqual(steps(alice, of.callId), ['accepted', 'ended completed']);
    assert.deepEqual(steps(bob, of.callId), ['incoming', 'ended completed']);
    assert.deepEqual(steps(tablet, of.callId), ['incoming', 'ended answered_elsewhere']);
    for (const socket of [bob, tablet]) assert.equal(seen(socket, 'video_call_incoming').length, 3);
  });

  for (const state of ['ringing', 'active']) {
    test(`that is ${state} ends when its match is closed`, async () => {
      const { match, alice, bob, of } = await (state === 'ringing' ? ringing : talking)();
      const ended = [alice, bob].map((socket) => next(socket, 'video_call_ended'));
      await rest(stack, 'DELETE', `/matches/${match.id}`, { token: serviceToken(stack) });
      for (const event of await Promise.all(ended)) assert.deepEqual(event, { ...of, reason: 'match_closed' });
      assert.equal((await refused(bob, 'video_call_accepted', of)).code, 'MATCH_CLOSED');
    });
  }

  test('is shown to who joins the chat, while it lives', async () => {
    const { match, alice, bob, call, of } = await ringing({ media: { video: false } });
    const expected = { ...of, caller: match.alice, media: { video: false } };
    const joined = await done(bob, 'join_chat', match.id);
    assert.deepEqual(joined.call, { ...expected, state: 'ringing', expiresAt: call.expiresAt });
    await done(bob, 'video_call_accepted', of);
    const { expiresAt, ...active } = (await done(alice, 'join_chat', match.id)).call;
    assert.deepEqual(active, { ...expected, state: 'active' });
    assert.ok(Date.parse(expiresAt) > Date.now() + 60_000);
    await done(alice, 'video_call_ended', of);
    assert.equal((await done(alice, 'join_chat', match.id)).call, null);
  });

  test('is told to a caller who was away when it was accepted, with what came along', async () => {
    const { match, alice, bob, of } = await ringing();
    await done(alice, 'join_chat', match.id);
    alice.io.reconnection(false);
    const gone = new Promise((resolve) => alice.once('disconnect', resolve));
    alice.io.engine.close();
    await gone;
    await done(bob, 'video_call_accepted', { ...of, signal: { sdp: 'answer' } });
    // Past the repeats after 1 s and 3 s.
    await pause(3_500);
    alice.io.uri = stack.url(1);
    const accepted = next(alice, 'video_call_accepted');
    alice.connect();
    assert.deepEqual(await accepted, { ...of, signal: { sdp: 'answer' } });
    assert.equal(alice.recovered, true);
    const ended = next(alice, 'video_call_ended');
    await done(bob, 'video_call_ended', of);
    await ended;
    assert.deepEqual(steps(alice, of.callId), ['accepted', 'ended completed']);
  });

  test('ends when a party vanishes, and outlives its lease while both are there', async () => {
    const lasting = await talking();
    const lost = await talking();
    const ended = next(lost.alice, 'video_call_ended', undefined, (LEASE_S + 5) * 1_000);
    lost.bob.disconnect();
    assert.deepEqual(await ended, { ...lost.of, reason: 'connection_lost' });
    // Nothing tells that a lease was renewed, except that nothing happens.
    await pause(lasting.since + (LEASE_S + 2) * 1_000 - Date.now());
    assert.equal((await done(lasting.alice, 'video_call_signal', { callId: lasting.of.callId })).state, 'active');
    assert.deepEqual(steps(lasting.alice, lasting.of.callId), ['accepted']);
  });
});

describe('a call while services die', () => {
  test('rings out once though all signaling services were killed and came back', async () => {
    const { match, alice, bob, tablet, of } = await ringing();
    for (const name of SIGNALING_SERVICES) await stack.control('kill', name);
    const ended = [alice, bob, tablet].map((socket) => next(socket, 'video_call_ended'));
    for (const name of SIGNALING_SERVICES) await stack.control('start', name);
    for (const event of await Promise.all(ended)) assert.deepEqual(event, { ...of, reason: 'no_answer' });
    // Past the repeats of the time-out.
    const again = next(alice, 'video_call_ended', ({ callId }) => callId !== of.callId);
    await eventually(async () => (await ask(alice, 'video_call_request', { matchId: match.id })).ok, 'another call');
    await again;
    assert.deepEqual(steps(alice, of.callId), ['ended no_answer']);
    for (const socket of [bob, tablet]) assert.deepEqual(steps(socket, of.callId), ['incoming', 'ended no_answer']);
  });

  test('goes on when one of the signaling services dies', async () => {
    const { alice, bob, of } = await ringing();
    await stack.control('kill', SIGNALING_SERVICES[0]);
    const accepted = next(alice, 'video_call_accepted');
    await eventually(async () => (await ask(bob, 'video_call_accepted', of)).ok, 'the acceptance');
    await accepted;
    const ended = [bob, alice].map((socket) => next(socket, 'video_call_ended'));
    await eventually(async () => (await ask(alice, 'video_call_ended', of)).ok, 'the end');
    for (const { reason } of await Promise.all(ended)) assert.equal(reason, 'completed');
    assert.deepEqual(steps(alice, of.callId), ['accepted', 'ended completed']);
    await stack.control('start', SIGNALING_SERVICES[0]);
  });

  test('is lost when Redis is wiped, and nothing else is', async () => {
    const { match, alice, bob, of } = await talking();
    // Gateways notice when they renew the leases.
    const ended = [alice, bob].map((socket) => next(socket, 'video_call_ended', ({ callId }) => callId === of.callId, 25_000));
    await redis(stack, 'FLUSHALL');
    assert.equal((await refused(alice, 'video_call_ended', of)).code, 'CALL_NOT_FOUND');
    assert.deepEqual((await done(alice, 'join_chat', match.id)).unlocked, ['video_call']);
    const rung = next(bob, 'video_call_incoming', ({ callId }) => callId !== of.callId);
    const call = await done(alice, 'video_call_request', { matchId: match.id });
    assert.equal((await rung).callId, call.callId);
    for (const event of await Promise.all(ended)) assert.deepEqual(event, { ...of, reason: 'connection_lost' });
  });

  test("ends when a party's gateway dies", async () => {
    const { alice, of } = await talking();
    const ended = next(alice, 'video_call_ended', undefined, (LEASE_S + 5) * 1_000);
    await stack.control('kill', 'gateway-1');
    assert.deepEqual(await ended, { ...of, reason: 'connection_lost' });
    await stack.control('start', 'gateway-1');
  });
});

// Two people who may call each other, and what their devices hear of it.
import assert from 'node:assert/strict';
import { connect, done, newMatch, next, rest, userToken } from './people.mjs';

const CALL_EVENTS = ['video_call_incoming', 'video_call_accepted', 'video_call_rejected', 'video_call_ended'];

/** Makes callers on a stack whose first message unlocks calls. */
export function callersOf(stack) {
  /** A match whose two may call each other, with Alice's phone and Bob's phone and tablet. */
  async function callers(members) {
    const match = await newMatch(stack, members);
    const saved = await rest(stack, 'POST', `/matches/${match.id}/messages`, {
      token: userToken(stack, match.alice),
      body: { message: 'hi' },
    });
    // 200 if the gateway had to ask twice.
    assert.ok(saved.ok, saved.text);
    const [alice, bob, tablet] = await Promise.all([
      connect(stack, match.alice, { gateway: 0 }),
      connect(stack, match.bob, { gateway: 1 }),
      connect(stack, match.bob, { gateway: 0 }),
    ]);
    return { match, alice, bob, tablet };
  }

  /** The same with Alice's call ringing on both of Bob's devices. */
  async function ringing(request = {}) {
    const all = await callers();
    const rung = [all.bob, all.tablet].map((socket) => next(socket, 'video_call_incoming'));
    const call = await done(all.alice, 'video_call_request', { matchId: all.match.id, ...request });
    const incoming = await Promise.all(rung);
    return { ...all, call, incoming, of: { matchId: all.match.id, callId: call.callId } };
  }

  /** The same with the call accepted on Bob's phone. */
  async function talking() {
    const all = await ringing();
    const accepted = next(all.alice, 'video_call_accepted');
    await done(all.bob, 'video_call_accepted', all.of);
    await accepted;
    return { ...all, since: Date.now() };
  }

  return { callers, ringing, talking };
}

/** The steps of a call that a socket was told of, in order, by name and reason. */
export function steps(socket, callId) {
  const own = socket.received.filter(([name, event]) => CALL_EVENTS.includes(name) && event.callId === callId);
  return own.map(([name, event]) => [name.replace('video_call_', ''), event.reason].filter(Boolean).join(' '));
}

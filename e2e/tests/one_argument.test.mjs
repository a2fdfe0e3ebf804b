// `auth: {recovery: false}`: for clients whose handlers take exactly one argument.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  comeBack,
  connect,
  connected,
  done,
  eventually,
  newMatch,
  next,
  refused,
  rest,
  seen,
  serviceToken,
  socketOf,
  userToken,
  within,
} from './support/people.mjs';
import { useStack } from './support/stack.mjs';

describe('a client that turns recovery off', { concurrency: 4 }, () => {
  const stack = useStack({ milestones: [{ id: 'second', messages: 2, unlocks: ['video_call'] }] });

  const withRecovery = (user, recovery) => ({ auth: { token: userToken(stack, user), recovery } });
  const say = (socket, match, message) => done(socket, 'send_message', { matchId: match.id, message });

  async function couple(recovery = false) {
    const match = await newMatch(stack);
    const alice = await connect(stack, match.alice);
    const bob = await connect(stack, match.bob, { gateway: 1, ...withRecovery(match.bob, recovery) });
    await Promise.all([alice, bob].map((socket) => done(socket, 'join_chat', match.id)));
    return { match, alice, bob };
  }

  test('has no pid, and each event has one argument', async () => {
    const { match, alice, bob } = await couple();
    assert.deepEqual([bob._pid, bob.recovered], [undefined, undefined]);
    await say(alice, match, 'one');
    await say(alice, match, 'two');
    await eventually(() => seen(bob, 'milestone_reached').length === 1, 'the milestone');
    await done(bob, 'leave_chat', match.id);
    await done(bob, 'join_chat', match.id);
    const closed = next(bob, 'match_closed');
    await rest(stack, 'DELETE', `/matches/${match.id}`, { token: serviceToken(stack) });
    await closed;
    const names = new Set(bob.received.map(([name]) => name));
    for (const name of ['chat_joined', 'receive_message', 'milestone_reached', 'chat_left', 'match_closed']) {
      assert.ok(names.has(name), name);
    }
    assert.deepEqual(bob.received.filter((event) => event.length !== 2), []);
    assert.equal(bob._lastOffset, undefined);
    assert.ok(alice.received.some((event) => event.length === 3), 'the other one is recovered');
  });

  test('is not recovered, whatever pid and offset it brings', async () => {
    const { match, alice, bob } = await couple(true);
    await say(alice, match, 'one');
    await eventually(() => seen(bob, 'receive_message').length === 1, 'the message');
    const { _pid, _lastOffset, id } = bob;
    Object.assign(bob.auth, { recovery: false });
    await comeBack(stack, bob, { meanwhile: () => say(alice, match, 'two') });
    assert.deepEqual([bob.recovered, bob._pid], [undefined, undefined]);
    assert.notEqual(bob.id, id);
    assert.equal((await refused(bob, 'leave_chat', match.id)).code, 'NOT_JOINED');
    const { messages } = await done(bob, 'join_chat', { matchId: match.id, sinceSeq: 1 });
    assert.deepEqual(messages.map(({ message }) => message), ['two']);
    // The session of before was left alone.
    Object.assign(bob, { _pid, _lastOffset });
    Object.assign(bob.auth, { recovery: true });
    await comeBack(stack, bob);
    assert.equal(bob.recovered, true);
  });

  test('does not hear its own messages, nor those that it saves by REST in its name', async () => {
    const { match, alice, bob } = await couple();
    await say(bob, match, 'mine');
    const body = { message: 'mine by REST' };
    const token = userToken(stack, match.bob);
    const headers = { 'x-socket-id': bob.id };
    const saved = await rest(stack, 'POST', `/matches/${match.id}/messages`, { token, body, headers });
    assert.equal(saved.status, 201, saved.text);
    await say(alice, match, "alice's");
    await eventually(() => seen(bob, 'receive_message').length > 0, 'a message');
    assert.deepEqual(seen(bob, 'receive_message').map(({ message }) => message), ["alice's"]);
    assert.deepEqual(seen(bob, 'inbox_updated'), []);
  });

  test('has done so by false alone: true, null and nothing leave it on', async () => {
    const match = await newMatch(stack);
    for (const recovery of [true, null, undefined]) {
      const socket = await connect(stack, match.bob, withRecovery(match.bob, recovery));
      assert.equal(typeof socket._pid, 'string', `${recovery}`);
    }
  });

  test('says so by a boolean, else it is refused as with a malformed token', async () => {
    const match = await newMatch(stack);
    for (const recovery of ['false', 0, '', [], {}, 'off']) {
      const socket = socketOf(stack, match.bob, { reconnection: false, ...withRecovery(match.bob, recovery) });
      const error = await within(new Promise((resolve) => socket.once('connect_error', resolve)), 'a refusal');
      assert.deepEqual(error.data, { code: 'UNAUTHENTICATED' }, JSON.stringify(recovery));
    }
    await connected(await connect(stack, match.bob, withRecovery(match.bob, false)));
  });
});

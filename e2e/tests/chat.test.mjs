// Two people chat across two gateways: what the seed's clients do, and what joining, leaving and typing promise.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { useStack } from './support/stack.mjs';
import {
  ask,
  connect,
  done,
  eventually,
  joinedPair,
  newMatch,
  next,
  pair,
  refused,
  rest,
  seen,
  serviceToken,
  userToken,
} from './support/people.mjs';

describe('chat', () => {
  const stack = useStack();

  test("the seed's own example works without any callback", async () => {
    const { match, alice, bob } = await pair(stack);
    const joined = next(bob, 'chat_joined');
    bob.emit('join_chat', match.id);
    assert.deepEqual(await joined, { matchId: match.id, success: true, lastSeq: 0, milestones: [], unlocked: [] });
    const received = next(bob, 'receive_message');
    alice.emit('join_chat', match.id);
    alice.emit('send_message', { matchId: match.id, message: 'hello' });
    const message = await received;
    assert.equal(message.message, 'hello');
    assert.equal(message.senderId, match.alice);
    assert.equal(message.seq, 1);
    assert.equal(message.id, `${match.id}:1`);
    assert.match(message.createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.equal(message.timestamp, message.createdAt);
  });

  test('an object spreads its own fields unless they collide', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const received = next(bob, 'receive_message');
    const ack = await done(alice, 'send_message', { matchId: match.id, message: { text: 'hi', seq: 'mine', n: 1.5 } });
    const message = await received;
    assert.deepEqual(message.message, { text: 'hi', seq: 'mine', n: 1.5 });
    assert.equal(message.text, 'hi');
    assert.equal(message.n, 1.5);
    assert.equal(message.seq, ack.seq);
  });

  test('the ack tells id, seq, time and clientId, and the sender hears nothing else of its message', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const clientId = randomUUID();
    const echo = next(bob, 'receive_message');
    const ack = await done(alice, 'send_message', { matchId: match.id, message: 'one', clientId });
    const { createdAt } = await echo;
    assert.deepEqual(ack, { ok: true, id: `${match.id}:1`, seq: 1, createdAt, clientId, duplicate: false });
    const reply = next(alice, 'receive_message');
    await done(bob, 'send_message', { matchId: match.id, message: 'two' });
    assert.equal((await reply).message, 'two');
    assert.deepEqual(
      seen(alice, 'receive_message').map(({ seq }) => seq),
      [2],
    );
    assert.deepEqual(seen(alice, 'inbox_updated'), []);
  });

  test("the sender's other device that has joined receives the message", async () => {
    const { match, alice } = await joinedPair(stack);
    const tablet = await connect(stack, match.alice, { gateway: 1 });
    await done(tablet, 'join_chat', match.id);
    const received = next(tablet, 'receive_message');
    await done(alice, 'send_message', { matchId: match.id, message: 'from my phone' });
    assert.equal((await received).message, 'from my phone');
  });

  test('a socket that has not joined gets inbox_updated', async () => {
    const { match, alice, bob } = await pair(stack);
    const updated = next(bob, 'inbox_updated');
    await done(alice, 'send_message', { matchId: match.id, message: 'are you there?' });
    assert.deepEqual(await updated, { matchId: match.id, lastSeq: 1, senderId: match.alice });
    assert.deepEqual(seen(bob, 'receive_message'), []);
    assert.deepEqual(seen(alice, 'inbox_updated'), []);
  });

  test('who was away joins with sinceSeq and gets what was missed, in order', async () => {
    const match = await newMatch(stack);
    const alice = await connect(stack, match.alice);
    for (let i = 1; i <= 5; i += 1) await done(alice, 'send_message', { matchId: match.id, message: `m${i}` });
    const bob = await connect(stack, match.bob, { gateway: 1 });
    const ack = await done(bob, 'join_chat', { matchId: match.id, sinceSeq: 2 });
    assert.deepEqual(
      ack.messages.map(({ seq, message }) => [seq, message]),
      [
        [3, 'm3'],
        [4, 'm4'],
        [5, 'm5'],
      ],
    );
    assert.equal(ack.lastSeq, 5);
    assert.equal(ack.hasMore, false);
    assert.equal(ack.call, null);
    assert.deepEqual((await done(bob, 'join_chat', match.id)).messages, []);
    assert.deepEqual((await done(bob, 'join_chat', { matchId: match.id, sinceSeq: 99 })).messages, []);
  });

  test('a page of a join has 200 messages at most', async () => {
    const match = await newMatch(stack);
    const alice = await connect(stack, match.alice);
    for (let sent = 0; sent < 210;) {
      const ack = await ask(alice, 'send_message', { matchId: match.id, message: 'x', clientId: `c${sent}` });
      if (ack.ok) sent += 1;
      else await new Promise((resolve) => setTimeout(resolve, ack.error.retryAfterMs));
    }
    const first = await done(alice, 'join_chat', { matchId: match.id, sinceSeq: 0 });
    assert.deepEqual(
      first.messages.map(({ seq }) => seq),
      Array.from({ length: 200 }, (_, i) => i + 1),
    );
    assert.equal(first.hasMore, true);
    const second = await done(alice, 'join_chat', { matchId: match.id, sinceSeq: 200 });
    assert.equal(second.messages.length, 10);
    assert.equal(second.hasMore, false);
  });

  test('a join while the other side keeps sending misses and repeats nothing', async () => {
    const match = await newMatch(stack);
    const alice = await connect(stack, match.alice);
    const bob = await connect(stack, match.bob, { gateway: 1 });
    const total = 40;
    const sending = (async () => {
      for (let i = 1; i <= total; i += 1) {
        alice.emit('send_message', { matchId: match.id, message: `m${i}` });
        await new Promise((resolve) => setTimeout(resolve, 60));
      }
    })();
    await next(bob, 'inbox_updated');
    const page = [];
    let ack;
    for (let joins = 0; joins < 4; joins += 1) {
      ack = await done(bob, 'join_chat', { matchId: match.id, sinceSeq: page.at(-1) ?? 0 });
      page.push(...ack.messages.map(({ seq }) => seq));
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await sending;
    await eventually(() => seen(bob, 'receive_message').at(-1)?.seq === total, 'the last message');
    const live = seen(bob, 'receive_message').map(({ seq }) => seq);
    assert.deepEqual([...new Set(live)], live, 'nothing is repeated');
    assert.deepEqual(
      [...new Set([...page, ...live])].sort((a, b) => a - b),
      Array.from({ length: total }, (_, i) => i + 1),
    );
  });

  test('joining another chat leaves the first, keepOthers keeps it', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const other = await newMatch(stack, [match.bob, `c-${randomUUID()}`]);
    await done(bob, 'join_chat', { matchId: other.id, keepOthers: true });
    const kept = next(bob, 'receive_message');
    await done(alice, 'send_message', { matchId: match.id, message: 'kept' });
    assert.equal((await kept).message, 'kept');
    await done(bob, 'join_chat', other.id);
    const left = next(bob, 'inbox_updated');
    await done(alice, 'send_message', { matchId: match.id, message: 'left' });
    assert.equal((await left).lastSeq, 2);
  });

  test('leaving a chat is acked and told', async () => {
    const { match, bob } = await joinedPair(stack);
    const left = next(bob, 'chat_left');
    assert.deepEqual(await done(bob, 'leave_chat', match.id), { ok: true });
    assert.deepEqual(await left, { matchId: match.id });
    assert.equal((await refused(bob, 'leave_chat', match.id)).code, 'NOT_JOINED');
  });

  test('typing is shown to the other side, and ends by itself after 6 s', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const shown = next(bob, 'user_typing');
    await done(alice, 'typing', { matchId: match.id, isTyping: true });
    assert.deepEqual(await shown, { matchId: match.id, userId: match.alice, isTyping: true });
    const began = Date.now();
    assert.equal((await next(bob, 'user_typing')).isTyping, false);
    assert.ok(Date.now() - began > 5_000, 'not before 6 s');
    assert.deepEqual(seen(alice, 'user_typing'), []);
  });

  test('typing ends when the message arrives, when the typist leaves, and when it disconnects', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const typing = async (isTyping, cause) => {
      const told = next(bob, 'user_typing', (event) => event.isTyping === isTyping);
      await cause();
      await told;
    };
    const start = () => done(alice, 'typing', { matchId: match.id, isTyping: true });
    await typing(true, start);
    await typing(false, () => done(alice, 'send_message', { matchId: match.id, message: 'typed' }));
    await typing(true, () => alice.emit('typing', match.id));
    await typing(false, () => done(alice, 'leave_chat', match.id));
    await done(alice, 'join_chat', match.id);
    await typing(true, () => eventually(async () => (await ask(alice, 'typing', match.id)).ok, 'typing again'));
    await typing(false, () => alice.disconnect());
  });

  test('a closed match refuses everything at once on every gateway', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    await done(alice, 'send_message', { matchId: match.id, message: 'last', clientId: 'last' });
    const told = [alice, bob].map((socket) => next(socket, 'match_closed'));
    assert.equal((await rest(stack, 'DELETE', `/matches/${match.id}`, { token: serviceToken(stack) })).status, 204);
    assert.deepEqual(await Promise.all(told), [{ matchId: match.id }, { matchId: match.id }]);
    for (const socket of [alice, bob]) {
      assert.equal((await refused(socket, 'send_message', { matchId: match.id, message: 'x' })).code, 'MATCH_CLOSED');
      assert.equal((await refused(socket, 'join_chat', match.id)).code, 'MATCH_CLOSED');
      assert.equal((await refused(socket, 'typing', { matchId: match.id, isTyping: true })).code, 'MATCH_CLOSED');
      assert.equal((await refused(socket, 'video_call_request', { matchId: match.id })).code, 'MATCH_CLOSED');
    }
    const repeat = await done(alice, 'send_message', { matchId: match.id, message: 'last', clientId: 'last' });
    assert.equal(repeat.duplicate, true);
    const stranger = await connect(stack, 'stranger');
    assert.equal((await refused(stranger, 'join_chat', match.id)).code, 'MATCH_NOT_FOUND');
    const history = await rest(stack, 'GET', `/matches/${match.id}/messages`, { token: userToken(stack, match.bob) });
    assert.equal(history.json.messages.length, 1);
    assert.equal((await rest(stack, 'DELETE', `/matches/${match.id}`, { token: serviceToken(stack) })).status, 204);
  });

  test('the same works over polling alone, and after an upgrade', async () => {
    const match = await newMatch(stack);
    const alice = await connect(stack, match.alice, { transports: ['polling'] });
    const bob = await connect(stack, match.bob, { gateway: 1 });
    const web = await connect(stack, match.bob, { transports: ['websocket'] });
    await Promise.all([alice, bob, web].map((socket) => done(socket, 'join_chat', match.id)));
    const received = [bob, web].map((socket) => next(socket, 'receive_message'));
    await done(alice, 'send_message', { matchId: match.id, message: 'over polling' });
    for (const message of await Promise.all(received)) assert.equal(message.message, 'over polling');
    await eventually(() => bob.io.engine.transport.name === 'websocket', 'the upgrade');
    const answer = next(alice, 'receive_message');
    await done(bob, 'send_message', { matchId: match.id, message: 'over websocket' });
    assert.equal((await answer).message, 'over websocket');
  });
});

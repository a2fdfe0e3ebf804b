// How far people have read and received: marked, proved without a line of the client's code, shared or not.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { useStack } from './support/stack.mjs';
import {
  ask,
  comeBack,
  connect,
  done,
  eventually,
  joinedPair,
  next,
  pair,
  pause,
  refused,
  rest,
  seen,
  serviceToken,
  userToken,
} from './support/people.mjs';

const receipts = (socket, user) => seen(socket, 'receipt_updated').filter(({ userId }) => userId === user);
const last = (socket, user) => receipts(socket, user).at(-1) ?? {};
const send = (socket, match, message = 'hello') => done(socket, 'send_message', { matchId: match.id, message });
const read = (socket, match, seq) => done(socket, 'mark_read', { matchId: match.id, seq });

async function call(stack, user, method, path, body) {
  return rest(stack, method, path, { token: user ? userToken(stack, user) : serviceToken(stack), body });
}

const share = (stack, user, setting) => call(stack, user, 'PUT', '/users/me/settings', { receipts: setting });

describe('what people have read', { concurrency: 4 }, () => {
  const stack = useStack();

  test('is told to the other and to all own devices, and counts as received', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const tablet = await connect(stack, match.bob, { gateway: 0 });
    for (let count = 0; count < 3; count += 1) await send(alice, match);
    const ack = await read(bob, match, 2);
    assert.deepEqual([ack.readSeq, ack.deliveredSeq >= 2, ack.unread], [2, true, 1]);
    for (const socket of [alice, tablet, bob]) {
      await eventually(() => last(socket, match.bob).readSeq === 2, 'the receipt');
      const { at, ...told } = receipts(socket, match.bob).find(({ readSeq }) => readSeq === 2);
      assert.equal(new Date(at).toISOString(), at);
      assert.deepEqual(Object.keys(told), ['matchId', 'userId', 'readSeq', 'deliveredSeq']);
    }
    assert.equal((await read(bob, match, 1)).readSeq, 2, 'an earlier mark changes nothing');
    assert.equal((await refused(bob, 'mark_read', { matchId: match.id, seq: 4 })).code, 'INVALID_PAYLOAD');
    assert.deepEqual(receipts(alice, match.alice), []);
  });

  test('needs no chat that is open, and any order and repetition comes to the same', async () => {
    const { match, alice, bob } = await pair(stack);
    for (let count = 0; count < 9; count += 1) await send(alice, match);
    const marks = [3, 9, 1, 9, 4, 0, 7].map((seq) => read(bob, match, seq));
    for (const { readSeq } of await Promise.all(marks)) assert.ok(readSeq >= 3);
    const { readSeq, deliveredSeq, unread } = await read(bob, match, 0);
    assert.deepEqual([readSeq, deliveredSeq, unread], [9, 9, 0]);
  });

  test('what one has written oneself is not unread', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    for (let count = 0; count < 3; count += 1) await send(alice, match);
    assert.equal((await read(bob, match, 0)).unread, 3);
    await send(bob, match);
    assert.equal((await read(bob, match, 0)).unread, 0);
    await send(alice, match);
    const { json } = await call(stack, match.bob, 'GET', `/matches/${match.id}/receipts`);
    assert.equal(json.me.unread, 1);
    assert.equal((await done(bob, 'join_chat', match.id)).me.unread, 1);
  });

  test('REST reads and marks the same', async () => {
    const { match, alice } = await joinedPair(stack);
    for (let count = 0; count < 2; count += 1) await send(alice, match);
    const path = `/matches/${match.id}/receipts`;
    const marked = await call(stack, match.bob, 'PUT', path, { seq: 1 });
    assert.deepEqual([marked.status, marked.json.readSeq, marked.json.unread], [200, 1, 1]);
    await eventually(() => last(alice, match.bob).readSeq === 1, 'the receipt');
    const [other] = (await call(stack, match.alice, 'GET', path)).json.others;
    assert.deepEqual([other.userId, other.readSeq], [match.bob, 1]);
    assert.equal((await call(stack, match.bob, 'PUT', path, { seq: 3 })).json.code, 'INVALID_PAYLOAD');
    assert.equal((await call(stack, match.bob, 'PUT', path, {})).json.code, 'INVALID_PAYLOAD');
    for (const id of [match.id, 'absent']) {
      const strange = await call(stack, 'stranger', 'PUT', `/matches/${id}/receipts`, { seq: 0 });
      assert.deepEqual([strange.status, strange.json.code], [404, 'MATCH_NOT_FOUND']);
      assert.equal((await call(stack, 'stranger', 'GET', `/matches/${id}/receipts`)).status, 404);
    }
  });

  test('marks are never refused for their number', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    await send(alice, match);
    const marks = Array.from({ length: 300 }, (_, n) => ask(bob, 'mark_read', { matchId: match.id, seq: n % 2 }));
    assert.ok((await Promise.all(marks)).every(({ ok }) => ok));
  });

  test('what cannot be a mark is refused, and the connection lives', async () => {
    const { match, bob } = await joinedPair(stack);
    const of = { matchId: match.id };
    for (const [event, payload, code] of [
      ['mark_read', of, 'INVALID_PAYLOAD'],
      ['mark_read', { ...of, seq: -1 }, 'INVALID_PAYLOAD'],
      ['mark_read', { ...of, seq: 0.5 }, 'INVALID_PAYLOAD'],
      ['mark_read', { ...of, seq: '1' }, 'INVALID_PAYLOAD'],
      ['mark_read', { ...of, seq: 2 ** 53 }, 'INVALID_PAYLOAD'],
      ['mark_read', { matchId: 'absent', seq: 0 }, 'MATCH_NOT_FOUND'],
      ['mark_read', match.id, 'INVALID_PAYLOAD'],
      ['mark_delivered', {}, 'INVALID_PAYLOAD'],
      ['mark_delivered', { chats: 1 }, 'INVALID_PAYLOAD'],
      ['mark_delivered', { chats: Array(101).fill({ ...of, seq: 0 }) }, 'INVALID_PAYLOAD'],
    ]) {
      assert.equal((await refused(bob, event, payload)).code, code, `${event} ${JSON.stringify(payload)}`);
    }
    assert.ok(bob.connected);
  });

  test('a push that was shown is marked for several chats at once', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    await send(alice, match);
    const chats = [{ matchId: match.id, seq: 1 }, { matchId: 'absent', seq: 1 }];
    const ack = await done(bob, 'mark_delivered', { chats });
    assert.deepEqual(ack.chats.map(({ matchId, deliveredSeq }) => [matchId, deliveredSeq]), [[match.id, 1]]);
    assert.deepEqual((await done(bob, 'mark_delivered', { chats: [] })).chats, []);
    await eventually(() => last(alice, match.bob).deliveredSeq === 1, 'the receipt');
  });

  test('after a recovery one hears once how far the other has come', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    await send(alice, match);
    await send(bob, match);
    await eventually(() => seen(alice, 'receive_message').length === 1, 'a cursor');
    const heard = receipts(alice, match.bob).length;
    await comeBack(stack, alice, { meanwhile: () => read(bob, match, 1) });
    assert.ok(alice.recovered);
    await eventually(() => last(alice, match.bob).readSeq === 1, 'the receipt');
    assert.ok(receipts(alice, match.bob).length > heard);
  });
});

describe('what was delivered', { concurrency: 3 }, () => {
  const stack = useStack();

  for (const transports of [['websocket'], ['polling'], ['polling', 'websocket']]) {
    test(`is proved by ${transports.join(' and ')} without a line of the client's code`, async () => {
      const { match, alice } = await pair(stack);
      await done(alice, 'join_chat', match.id);
      const bob = await connect(stack, match.bob, { gateway: 1, transports, reconnection: false });
      await send(alice, match, 'before he joins');
      await done(bob, 'join_chat', match.id);
      await send(alice, match);
      await eventually(() => last(alice, match.bob).deliveredSeq === 2, 'the receipt');
      assert.equal(last(alice, match.bob).readSeq, 0);
      await Promise.all([send(alice, match), send(alice, match)]);
      await eventually(() => last(alice, match.bob).deliveredSeq === 4, 'the receipt of what followed');
      assert.ok(bob.connected);
    });
  }

  test('is also what a join has shown', async () => {
    const { match, alice } = await pair(stack);
    await done(alice, 'join_chat', match.id);
    await send(alice, match);
    const bob = await connect(stack, match.bob, { gateway: 1 });
    await done(bob, 'join_chat', { matchId: match.id, sinceSeq: 0 });
    await eventually(() => last(alice, match.bob).deliveredSeq === 1, 'the receipt');
  });

  test('is not claimed of who does not answer', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    bob.io.engine.transport.ws._socket?.pause();
    await send(alice, match);
    await pause(2_000);
    assert.deepEqual(receipts(alice, match.bob), []);
    bob.io.engine.transport.ws._socket?.resume();
    await eventually(() => last(alice, match.bob).deliveredSeq === 1, 'the receipt');
  });
});

describe('who does not share', { concurrency: 3 }, () => {
  const stack = useStack();

  test('is not seen and does not see', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const set = (await share(stack, match.bob, 'private')).json;
    assert.deepEqual(set, { receipts: 'private', typing: 'shared', presence: 'shared', locked: false });
    await send(alice, match);
    await read(bob, match, 1);
    await send(bob, match);
    await read(alice, match, 2);
    await eventually(() => last(alice, match.alice).readSeq === 2, 'the own receipt');
    await pause(1_500);
    assert.deepEqual([receipts(alice, match.bob), receipts(bob, match.alice)], [[], []]);
    const path = `/matches/${match.id}/receipts`;
    for (const user of [match.alice, match.bob]) {
      assert.deepEqual((await call(stack, user, 'GET', path)).json.others, []);
    }
    assert.deepEqual((await done(alice, 'join_chat', match.id)).others, []);
    await comeBack(stack, alice, {});
    await pause(500);
    assert.deepEqual(receipts(alice, match.bob), []);
    await share(stack, match.bob, 'shared');
    await send(alice, match);
    await read(bob, match, 3);
    await eventually(() => last(alice, match.bob).readSeq === 3, 'the receipt');
  });

  test('may be held to it by the app server', async () => {
    const { match } = await pair(stack);
    const path = `/users/${match.bob}/settings`;
    const locked = await call(stack, null, 'PUT', path, { receipts: 'private', locked: true });
    assert.deepEqual(locked.json, { receipts: 'private', typing: 'shared', presence: 'shared', locked: true });
    const refusal = await share(stack, match.bob, 'shared');
    assert.deepEqual([refusal.status, refusal.json.code], [403, 'FORBIDDEN']);
    assert.deepEqual((await call(stack, match.bob, 'GET', '/users/me/settings')).json, locked.json);
    await call(stack, null, 'PUT', path, { locked: false });
    assert.equal((await share(stack, match.bob, 'shared')).json.receipts, 'shared');
    assert.equal((await call(stack, match.bob, 'PUT', path, {})).status, 403);
    assert.equal((await share(stack, match.bob, 'public')).json.code, 'INVALID_PAYLOAD');
  });
});

describe('receipts that are turned off', () => {
  const stack = useStack({ env: { RECEIPTS: 'off' } });

  test('are neither taken nor told', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    await send(alice, match);
    assert.equal((await refused(bob, 'mark_read', { matchId: match.id, seq: 1 })).code, 'FORBIDDEN');
    assert.equal((await call(stack, match.bob, 'PUT', `/matches/${match.id}/receipts`, { seq: 1 })).status, 403);
    assert.equal((await done(bob, 'join_chat', match.id)).others, undefined);
    const told = next(alice, 'receipt_updated', () => true, 1_500).catch(() => null);
    assert.equal(await told, null);
  });
});

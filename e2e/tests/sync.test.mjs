// One call after any absence: what has changed in all of a user's matches.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { useStack } from './support/stack.mjs';
import {
  connect,
  done,
  eventually,
  joinedPair,
  newMatch,
  next,
  refused,
  rest,
  serviceToken,
  upTo,
  userToken,
} from './support/people.mjs';

/** The largest answer, in bytes. */
const MAX_BYTES = 128 * 1024;

describe('a sync', { concurrency: 4 }, () => {
  const stack = useStack({ gateways: 2, replicas: 2, env: { LIMIT_HISTORY: '1000/1000', LIMIT_JOINS: '1000/1000' } });

  const post = (user, body, options) =>
    rest(stack, 'POST', '/sync', { token: userToken(stack, user), body, ...options });

  /** Everything that is new, page by page, by REST on one gateway and by the socket on the other. */
  async function syncAll(user, token, wish = {}) {
    const matches = [];
    for (let page = 0; ; page += 1) {
      const { status, json, text } = await post(user, { token, ...wish }, { gateway: page % 2 });
      assert.equal(status, 200, text);
      assert.ok(Buffer.byteLength(text) <= MAX_BYTES, `${Buffer.byteLength(text)} bytes`);
      matches.push(...json.matches);
      token = json.token;
      if (!json.hasMore) return { ...json, matches };
    }
  }

  /** A token after which nothing is new. What is under way on the server makes things come twice. */
  async function settled(user, token) {
    await eventually(async () => {
      const answer = await syncAll(user, token);
      token = answer.token;
      return answer.matches.length === 0;
    }, 'nothing new');
    return token;
  }

  test('tells what the list of chats shows, and then only what has changed', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const other = await newMatch(stack, [match.alice, `c-${randomUUID()}`]);
    await done(bob, 'send_message', { matchId: match.id, message: 'hi', clientId: 'one' });
    const first = await syncAll(match.alice);
    assert.deepEqual([first.reset, first.blocked, typeof first.epoch], [false, [], 'string']);
    assert.deepEqual(first.matches.map(({ matchId }) => matchId), [match.id, other.id]);
    const [{ lastMessage, messages, me, others, ...shown }] = first.matches;
    assert.deepEqual(shown, {
      matchId: match.id,
      state: 'open',
      kind: 'pair',
      members: match.members.toSorted(),
      lastSeq: 1,
      rev: 0,
      unread: 1,
      milestones: [],
      unlocked: [],
      call: null,
      changes: [],
      hidden: [],
      limited: false,
    });
    assert.deepEqual([lastMessage.message, messages], ['hi', [lastMessage]]);
    assert.deepEqual([me.unread, others.map(({ userId }) => userId)], [1, [match.bob]]);

    let token = await settled(match.alice, first.token);
    await done(alice, 'mark_read', { matchId: match.id, seq: 1 });
    const { matches: [read, ...more] } = await syncAll(match.alice, token);
    assert.deepEqual([read.matchId, read.unread, more], [match.id, 0, []]);
    token = await settled(match.alice, token);
    await done(bob, 'react', { matchId: match.id, seq: 1, emoji: '👍', on: true });
    const known = { [match.id]: [1, 0], [other.id]: [0, 0] };
    const { matches: [changed, ...rest] } = await syncAll(match.alice, token, { known });
    assert.deepEqual([changed.rev, changed.messages, rest], [1, [], []]);
    assert.deepEqual(changed.changes.map(({ kind, rev, seq }) => [kind, rev, seq]), [['reactions', 1, 1]]);
    token = await settled(match.alice, token);
    await close(match);
    assert.equal((await syncAll(match.alice, token)).matches[0].state, 'closed');
  });

  const close = ({ id }) => rest(stack, 'DELETE', `/matches/${id}`, { token: serviceToken(stack) });

  test('gives the same by the socket, on either gateway', async () => {
    const { match, bob } = await joinedPair(stack);
    const alice = await connect(stack, match.alice, { gateway: 1 });
    await done(bob, 'send_message', { matchId: match.id, message: { text: 'hi' } });
    const delivered = async () => (await post(match.alice)).json.matches[0].me.deliveredSeq === 1;
    await eventually(delivered, 'the proof of the delivery');
    const { ok, token, ...told } = await done(alice, 'sync', {});
    const { token: ours, ...same } = (await post(match.alice)).json;
    assert.deepEqual([ok, told], [true, same]);
    assert.equal((await done(alice, 'sync', { token: ours })).reset, false);
    assert.deepEqual((await done(alice, 'sync')).matches, told.matches);
    assert.equal(told.matches[0].lastMessage.text, 'hi', 'spread, as everywhere');
  });

  test('shows a live call, also when nothing else has changed', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    for (const n of upTo(100)) await done(n % 2 ? alice : bob, 'send_message', { matchId: match.id, message: `${n}` });
    const isUnlocked = async () => (await syncAll(match.bob)).matches[0].unlocked.includes('video_call');
    await eventually(isUnlocked, 'the milestone');
    const token = await settled(match.bob, (await syncAll(match.bob)).token);
    const incoming = next(bob, 'video_call_incoming');
    const { callId } = await done(alice, 'video_call_request', { matchId: match.id });
    await incoming;
    const { matches } = await syncAll(match.bob, token);
    const calls = matches.map(({ matchId, call }) => [matchId, call.callId, call.state]);
    assert.deepEqual(calls, [[match.id, callId, 'ringing']]);
    await done(bob, 'video_call_rejected', { matchId: match.id, callId });
    await settled(match.bob, token);
  });

  test('comes in pages of at most 128 KB, whatever is asked for', async () => {
    const user = `u-${randomUUID()}`;
    const friends = upTo(12).map((n) => `f${n}-${randomUUID()}`);
    const matches = await Promise.all(friends.map((friend) => newMatch(stack, [user, friend])));
    const large = { text: 'x'.repeat(15_000) };
    for (const match of matches) {
      const socket = await connect(stack, match.members.find((member) => member !== user));
      for (const _ of upTo(2)) await done(socket, 'send_message', { matchId: match.id, message: large });
      socket.disconnect();
    }
    const all = await syncAll(user, undefined, { limit: 200, messages: 50 });
    assert.deepEqual(all.matches.map(({ matchId }) => matchId), matches.map(({ id }) => id).toReversed());
    assert.ok(all.matches.every(({ limited, messages }) => messages.length === 2 || limited));
    const few = await syncAll(user, undefined, { limit: 5, messages: 0 });
    assert.deepEqual(few.matches.map(({ matchId }) => matchId), all.matches.map(({ matchId }) => matchId));
    assert.ok(few.matches.every(({ limited, messages }) => messages.length === 0 && limited));
  });

  test('lists matches by activity, with the last message and what is unread', async () => {
    const user = `u-${randomUUID()}`;
    const matches = [];
    for (const n of upTo(5)) matches.push(await newMatch(stack, [user, `f${n}-${randomUUID()}`]));
    const { matchId } = { matchId: matches[1].id };
    const friend = await connect(stack, matches[1].members.find((member) => member !== user));
    await done(friend, 'send_message', { matchId, message: 'hi' });
    const list = async (query) =>
      (await rest(stack, 'GET', `/matches?order=activity&limit=2${query}`, { token: userToken(stack, user) })).json;
    const seen = [];
    let after = '';
    for (;;) {
      const page = await list(after);
      seen.push(...page.matches);
      if (!page.hasMore) break;
      after = `&after=${encodeURIComponent(page.next)}`;
    }
    const order = [1, 4, 3, 2, 0].map((n) => matches[n].id);
    assert.deepEqual(seen.map(({ matchId }) => matchId), order);
    assert.deepEqual([seen[0].lastMessage.message, seen[0].unread, seen[0].closed], ['hi', 1, false]);
    assert.deepEqual([seen[1].lastMessage, seen[1].unread], [null, 0]);
    for (const query of ['order=other', 'order=activity&after=forged', 'order=activity&limit=0']) {
      const bad = await rest(stack, 'GET', `/matches?${query}`, { token: userToken(stack, user) });
      assert.deepEqual([bad.status, bad.json.code], [400, 'INVALID_PAYLOAD'], query);
    }
  });

  test('begins anew with a token that is forged, of another user, or of another form', async () => {
    const match = await newMatch(stack);
    const { token } = (await post(match.alice)).json;
    const { token: ofBob } = (await post(match.bob)).json;
    for (const bad of [ofBob, `${token.slice(0, -2)}AA`, '', 'x', '💥', 'A'.repeat(9_999)]) {
      const { status, json } = await post(match.alice, { token: bad });
      assert.deepEqual([status, json.reset, json.matches.length], [200, true, 1], bad);
    }
  });

  test('refuses what is out of bounds, and the connection lives', async () => {
    const { match, alice } = await joinedPair(stack);
    const many = Object.fromEntries(upTo(501).map((n) => [`m${n}`, [0, 0]]));
    for (const bad of [
      { known: many },
      { known: { [match.id]: [1] } },
      { known: { [match.id]: [1, -1] } },
      { known: { [match.id]: ['1', 0] } },
      { known: { 'a b': [1, 0] } },
      { known: [] },
      { messages: 51 },
      { messages: -1 },
      { messages: 0.5 },
      { limit: 0 },
      { limit: 201 },
      { limit: 2 ** 53 },
      { token: 7 },
      { token: {} },
    ]) {
      const { status, json } = await post(match.alice, bad);
      assert.deepEqual([status, json.code], [400, 'INVALID_PAYLOAD'], JSON.stringify(bad).slice(0, 99));
      assert.equal((await refused(alice, 'sync', bad)).code, 'INVALID_PAYLOAD');
    }
    for (const bad of [[], 'token', 7, null]) assert.equal((await refused(alice, 'sync', bad)).code, 'INVALID_PAYLOAD');
    assert.equal((await rest(stack, 'POST', '/sync', { token: serviceToken(stack) })).status, 403);
    assert.equal((await rest(stack, 'POST', '/sync')).status, 401);
    assert.equal((await done(alice, 'sync', {})).matches.length, 1);
    const none = await post(match.alice, { known: { [`m-${randomUUID()}`]: [9, 9] }, messages: 0, limit: 200 });
    assert.equal(none.json.matches.length, 1, 'who knows matches of others learns nothing of them');
  });
});

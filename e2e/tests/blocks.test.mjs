// Who blocks somebody: what is closed, what is told, and what can be no more.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { useStack } from './support/stack.mjs';
import {
  comeBack,
  connect,
  done,
  eventually,
  joinedPair,
  newMatch,
  pause,
  refused,
  rest,
  seen,
  serviceToken,
  userToken,
} from './support/people.mjs';

const service = (stack) => serviceToken(stack);
const call = (stack, user, method, path, body) =>
  rest(stack, method, path, { token: user ? userToken(stack, user) : service(stack), body });
const block = (stack, user, other) => call(stack, user, 'PUT', `/users/me/blocks/${other}`);

describe('a block', { concurrency: 4 }, () => {
  const stack = useStack();

  test('closes every match of the two alone, and looks like an unmatch', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const second = await newMatch(stack, [match.bob, match.alice]);
    const others = await newMatch(stack, [match.alice, `c-${randomUUID()}`]);
    await done(alice, 'send_message', { matchId: match.id, message: 'hi' });
    assert.equal((await block(stack, match.alice, match.bob)).status, 204);
    for (const socket of [alice, bob]) {
      await eventually(() => seen(socket, 'match_closed').length === 2, 'both closings');
      const closed = seen(socket, 'match_closed').toSorted((a, b) => (a.matchId < b.matchId ? -1 : 1));
      assert.deepEqual(closed, [match.id, second.id].toSorted().map((matchId) => ({ matchId })));
    }
    assert.equal((await refused(bob, 'send_message', { matchId: match.id, message: 'x' })).code, 'MATCH_CLOSED');
    assert.equal((await refused(bob, 'typing', { matchId: match.id, isTyping: true })).code, 'MATCH_CLOSED');
    assert.equal((await refused(bob, 'video_call_request', { matchId: second.id })).code, 'MATCH_CLOSED');
    const open = await call(stack, match.alice, 'GET', `/matches/${others.id}`);
    assert.equal(open.json.closed, false);
    const log = await call(stack, match.bob, 'GET', `/matches/${match.id}/changes`);
    const [{ kind, afterSeq, by }] = log.json.changes;
    assert.deepEqual([kind, afterSeq, by], ['closing', 1, undefined]);
    assert.ok(!JSON.stringify(bob.received).includes('block'));
    assert.equal((await block(stack, match.alice, match.bob)).status, 204, 'a repeat');
  });

  test('says nothing again of what was closed before it', async () => {
    const match = await newMatch(stack);
    await call(stack, null, 'DELETE', `/matches/${match.id}`);
    const second = await newMatch(stack, match.members);
    const [alice, bob] = await Promise.all(match.members.map((user) => connect(stack, user)));
    for (let time = 0; time < 2; time += 1) await block(stack, match.alice, match.bob);
    for (const socket of [alice, bob]) {
      await eventually(() => seen(socket, 'match_closed').length, 'the closing');
      await pause(300);
      assert.ok(seen(socket, 'match_closed').every(({ matchId }) => matchId === second.id));
    }
    const { json } = await call(stack, match.bob, 'GET', `/matches/${second.id}/receipts`);
    assert.deepEqual(json.others, [], 'as of any match that is closed');
  });

  test('keeps the two from a new match, and unblocking reopens nothing', async () => {
    const match = await newMatch(stack);
    const put = (id) => call(stack, null, 'PUT', `/matches/${id}`, { members: match.members });
    await block(stack, match.bob, match.alice);
    for (const id of [match.id, `m-${randomUUID()}`]) {
      const { status, json } = await put(id);
      assert.deepEqual([status, json.code], [409, 'BLOCKED_PAIR']);
    }
    assert.equal((await call(stack, match.bob, 'DELETE', `/users/me/blocks/${match.alice}`)).status, 204);
    assert.equal((await put(match.id)).json.code, 'IDEMPOTENCY_CONFLICT');
    assert.equal((await put(`m-${randomUUID()}`)).status, 201);
  });

  test('is listed for who made it, and may be made by the app server', async () => {
    const [user, ...others] = Array.from({ length: 4 }, (_, i) => `u${i}-${randomUUID()}`);
    for (const other of others.slice(1)) assert.equal((await block(stack, user, other)).status, 204);
    assert.equal((await call(stack, null, 'PUT', `/users/${user}/blocks/${others[0]}`)).status, 204);
    const list = async (path, by = user) => (await call(stack, by, 'GET', path)).json;
    const all = await list('/users/me/blocks');
    assert.deepEqual(all.blocks.map(({ userId }) => userId), others);
    assert.ok(all.blocks.every(({ createdAt }) => new Date(createdAt).toISOString() === createdAt));
    const page = await list(`/users/${user}/blocks?after=${others[0]}&limit=1`, null);
    assert.deepEqual([page.blocks.map(({ userId }) => userId), page.hasMore], [[others[1]], true]);
    assert.equal((await call(stack, null, 'DELETE', `/users/${user}/blocks/${others[0]}`)).status, 204);
    assert.equal((await call(stack, user, 'DELETE', `/users/me/blocks/${others[0]}`)).status, 204, 'a repeat');
    assert.equal((await list('/users/me/blocks')).blocks.length, 2);
    assert.deepEqual((await list('/users/me/blocks', others[1])).blocks, [], 'who is blocked learns nothing');
  });

  test('that cannot be is refused', async () => {
    const user = `u-${randomUUID()}`;
    assert.deepEqual([(await block(stack, user, user)).status, (await block(stack, user, 'x y')).status], [400, 400]);
    assert.equal((await call(stack, null, 'PUT', `/users/${user}/blocks/${user}`)).status, 400);
    assert.equal((await call(stack, user, 'PUT', `/users/${user}/blocks/other`)).status, 403);
    assert.equal((await call(stack, user, 'GET', '/users/me/blocks?limit=0')).status, 400);
  });

  test('is seen by who was away, and nothing comes from before it', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    await done(bob, 'send_message', { matchId: match.id, message: 'one' });
    await eventually(() => seen(alice, 'receive_message').length === 1, 'a cursor');
    await comeBack(stack, alice, { meanwhile: () => block(stack, match.alice, match.bob) });
    await eventually(() => seen(alice, 'match_closed').length === 1, 'the closing');
    await pause(300);
    assert.equal(seen(alice, 'match_closed').length, 1);
    const late = await connect(stack, match.bob);
    assert.equal((await refused(late, 'join_chat', match.id)).code, 'MATCH_CLOSED');
  });
});

describe('a report', { concurrency: 4 }, () => {
  const stack = useStack();
  const report = (match, user, body, headers = {}) =>
    rest(stack, 'POST', `/matches/${match.id}/report`, { token: userToken(stack, user), body, headers });
  const evidence = async (id) => (await call(stack, null, 'GET', `/reports/${id}`)).json;

  test('keeps what was delivered, also when it was edited and deleted since', async () => {
    const { match, alice } = await joinedPair(stack);
    for (const text of ['one', 'two', 'three']) await done(alice, 'send_message', { matchId: match.id, message: text });
    await done(alice, 'edit_message', { matchId: match.id, seq: 2, message: 'dos' });
    await done(alice, 'delete_message', { matchId: match.id, seq: 3, scope: 'everyone' });
    const rude = { reason: 'rude', seqs: [2, 3], note: 'look', block: true };
    const { status, json } = await report(match, match.bob, rude);
    assert.deepEqual([status, json.duplicate], [201, false]);
    await eventually(() => seen(alice, 'match_closed').length, 'the closing');
    const filed = await evidence(json.reportId);
    assert.deepEqual([filed.state, filed.reason, filed.note, filed.seqs], ['open', 'rude', 'look', [2, 3]]);
    const contents = filed.evidence.map(({ seq, message, replacedByRev }) => [seq, message, replacedByRev]);
    assert.deepEqual(contents, [[1, 'one', undefined], [2, 'dos', undefined], [2, 'two', 1], [3, 'three', 2]]);
    assert.ok(filed.evidence.every(({ senderId }) => senderId === match.alice));
    const late = await report(match, match.bob, { reason: 'again', seqs: [3] });
    assert.equal((await evidence(late.json.reportId)).evidence.length, 4, 'also of a closed match');
    const resolved = await call(stack, null, 'POST', `/reports/${json.reportId}/resolve`);
    assert.deepEqual([resolved.status, resolved.json.state], [200, 'resolved']);
    const page = await call(stack, null, 'GET', `/reports?after=${json.reportId - 1}&limit=1`);
    assert.deepEqual(page.json.reports.map(({ reportId, state }) => [reportId, state]), [[json.reportId, 'resolved']]);
  });

  test('is one report under one key, and 20 a day', async () => {
    const { match, alice } = await joinedPair(stack);
    await done(alice, 'send_message', { matchId: match.id, message: 'x' });
    const headers = { 'idempotency-key': randomUUID() };
    const [first, second] = [
      await report(match, match.bob, { reason: 'x' }, headers),
      await report(match, match.bob, { reason: 'x' }, headers),
    ];
    assert.deepEqual([first.status, second.status], [201, 200]);
    assert.equal(first.json.reportId, second.json.reportId);
    for (let count = 1; count < 20; count += 1) {
      assert.equal((await report(match, match.bob, { reason: 'x' })).status, 201);
    }
    const refusal = await report(match, match.bob, { reason: 'x', block: true });
    assert.deepEqual([refusal.status, refusal.json.code], [429, 'RATE_LIMITED']);
    await eventually(() => seen(alice, 'match_closed').length, 'the block, which nothing limits');
  });

  test('that names what is not there blocks all the same, and a stranger\'s blocks nobody', async () => {
    const { match, alice } = await joinedPair(stack);
    await done(alice, 'send_message', { matchId: match.id, message: 'x' });
    assert.equal((await report(match, 'stranger', { reason: 'x', block: true })).status, 404);
    assert.deepEqual((await call(stack, 'stranger', 'GET', '/users/me/blocks')).json.blocks, []);
    const absent = await report(match, match.bob, { reason: 'x', seqs: [2], block: true });
    assert.deepEqual([absent.status, absent.json.code], [404, 'MESSAGE_NOT_FOUND']);
    await eventually(() => seen(alice, 'match_closed').length, 'the closing');
    const { blocks } = (await call(stack, match.bob, 'GET', '/users/me/blocks')).json;
    assert.deepEqual(blocks.map(({ userId }) => userId), [match.alice]);
  });

  test('that cannot be is refused', async () => {
    const { match, alice } = await joinedPair(stack);
    await done(alice, 'send_message', { matchId: match.id, message: 'x' });
    for (const [body, status] of [
      [{}, 400],
      [{ reason: '' }, 400],
      [{ reason: 'x', seqs: [0] }, 400],
      [{ reason: 'x', seqs: Array.from({ length: 51 }, (_, n) => n + 1) }, 400],
      [{ reason: 'x', note: 'x'.repeat(1_001) }, 400],
      [{ reason: 'x', seqs: [2] }, 404],
    ]) {
      assert.equal((await report(match, match.bob, body)).status, status, JSON.stringify(body).slice(0, 80));
    }
    for (const id of [match.id, 'absent']) {
      const strange = await report({ id }, 'stranger', { reason: 'x' });
      assert.deepEqual([strange.status, strange.json.code], [404, 'MATCH_NOT_FOUND']);
    }
    for (const path of ['/reports', '/reports/1']) {
      assert.equal((await call(stack, match.bob, 'GET', path)).status, 403);
    }
    assert.equal((await call(stack, null, 'GET', '/reports/999999999')).status, 404);
    assert.equal((await call(stack, null, 'GET', '/reports/x')).status, 400);
  });
});

// An account that is deleted: what others hear and read, what is told of it, and what a user of the same id is.
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
  now,
  refused,
  rest,
  seen,
  serviceToken,
  sign,
  socketOf,
  userToken,
} from './support/people.mjs';

const STEPS = [
  'settings', 'blocks', 'matches', 'messages', 'versions', 'reactions', 'positions', 'hidden', 'commands', 'evidence',
];

const call = (stack, user, method, path, body, token = user ? userToken(stack, user) : serviceToken(stack)) =>
  rest(stack, method, path, { token, body });
const erase = (stack, user) => call(stack, null, 'DELETE', `/users/${user}`);
const isTime = (text) => new Date(text).toISOString() === text;

/** The receipt, once all is done. */
async function erased(stack, user) {
  let receipt;
  await eventually(async () => {
    receipt = (await call(stack, null, 'GET', `/users/${user}/erasure`)).json;
    return receipt.state === 'done';
  }, 'the erasure');
  return receipt;
}

const countsOf = (receipt) => Object.fromEntries(receipt.steps.map(({ step, count }) => [step, count]));

describe('a deleted account', { concurrency: 4 }, () => {
  const stack = useStack();

  test('leaves its match as an unmatch does, and nothing that it has said', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    for (const message of ['my secret', { text: 'my secret' }]) {
      await done(alice, 'send_message', { matchId: match.id, message });
    }
    await done(alice, 'edit_message', { matchId: match.id, seq: 1, message: 'my secret too' });
    await done(bob, 'send_message', { matchId: match.id, message: 'hi', replyTo: 1 });
    await done(alice, 'react', { matchId: match.id, seq: 3, emoji: '👍', on: true });
    await done(bob, 'react', { matchId: match.id, seq: 1, emoji: '👍', on: true });
    await done(alice, 'mark_read', { matchId: match.id, seq: 3 });
    const reported = await call(stack, match.bob, 'POST', `/matches/${match.id}/report`, { reason: 'rude', seqs: [1] });

    const disconnected = new Promise((resolve) => alice.once('disconnect', resolve));
    const asked = await erase(stack, match.alice);
    assert.equal(asked.status, 202);
    assert.equal(asked.json.userId, match.alice);
    assert.ok(isTime(asked.json.requestedAt) && ['pending', 'running', 'done'].includes(asked.json.state));
    assert.deepEqual(asked.json.steps.map(({ step }) => step), STEPS);

    await disconnected;
    const again = socketOf(stack, match.alice, { auth: { token: userToken(stack, match.alice, { iat: now() - 60 }) } });
    const [error] = await new Promise((resolve) => again.once('connect_error', (...args) => resolve(args)));
    assert.equal(error.data.code, 'UNAUTHENTICATED');

    await eventually(() => seen(bob, 'match_closed').length, 'the closing');
    assert.deepEqual(seen(bob, 'match_closed'), [{ matchId: match.id }]);
    const receipt = await erased(stack, match.alice);
    const { messages, versions, reactions, matches, commands, evidence } = countsOf(receipt);
    assert.deepEqual([matches, messages, versions, reactions, commands, evidence], [1, 2, 1, 1, 0, 1]);
    assert.deepEqual(receipt.steps.at(-1).reportIds, [reported.json.reportId]);
    assert.ok(isTime(receipt.finishedAt));

    const page = await call(stack, match.bob, 'GET', `/matches/${match.id}/messages`);
    const left = page.json.messages.map(({ seq, senderId, deleted, message, text, reactions: of, replyTo }) =>
      ({ seq, senderId, deleted, message, text, of, replyTo }));
    const gone = { senderId: match.alice, deleted: true, message: undefined, text: undefined, of: undefined };
    assert.deepEqual(left, [
      { ...gone, seq: 1, replyTo: undefined },
      { ...gone, seq: 2, replyTo: undefined },
      { ...gone, seq: 3, senderId: match.bob, deleted: undefined, message: 'hi', replyTo: 1 },
    ]);
    const log = await call(stack, match.bob, 'GET', `/matches/${match.id}/changes?after=3`);
    assert.deepEqual(log.json.changes.map(({ kind, seq }) => [kind, seq]), [
      ['closing', undefined], ['deleted', 1], ['deleted', 2], ['reactions', 3],
    ]);
    assert.ok(!JSON.stringify([page.json, log.json]).includes('secret'));
    const report = await call(stack, null, 'GET', `/reports/${reported.json.reportId}`);
    assert.ok(JSON.stringify(report.json.evidence).includes('my secret too'), 'what was reported is kept');
    assert.equal((await refused(bob, 'send_message', { matchId: match.id, message: 'x' })).code, 'MATCH_CLOSED');
  });

  test('tells the other devices by the next page what is gone', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    await done(alice, 'send_message', { matchId: match.id, message: 'kept on a phone' });
    const { rev } = await done(bob, 'join_chat', { matchId: match.id, sinceSeq: 0 });
    await erase(stack, match.alice);
    await erased(stack, match.alice);
    const log = await call(stack, match.bob, 'GET', `/matches/${match.id}/changes?after=${rev}`);
    const told = log.json.changes.map(({ kind, seq, by }) => [kind, seq, by]);
    assert.deepEqual(told, [['closing', undefined, undefined], ['deleted', 1, match.alice]]);
  });

  test('takes its settings and blocks along, and not the blocks of others', async () => {
    const [user, foe] = [`u-${randomUUID()}`, `f-${randomUUID()}`];
    await call(stack, user, 'PUT', '/users/me/settings', { receipts: 'private' });
    await call(stack, user, 'PUT', `/users/me/blocks/${foe}`);
    await call(stack, foe, 'PUT', `/users/me/blocks/${user}`);
    await erase(stack, user);
    const { settings, blocks } = countsOf(await erased(stack, user));
    assert.deepEqual([settings, blocks], [1, 1]);
    const of = async (path) => (await call(stack, null, 'GET', `/users/${path}`)).json;
    const usual = { receipts: 'shared', typing: 'shared', presence: 'shared', locked: false };
    assert.deepEqual(await of(`${user}/settings`), usual);
    assert.deepEqual((await of(`${user}/blocks`)).blocks, []);
    assert.deepEqual((await of(`${foe}/blocks`)).blocks.map(({ userId }) => userId), [user]);
  });

  test('may appear again, as somebody who was never there', async () => {
    const { match, alice } = await joinedPair(stack);
    await done(alice, 'send_message', { matchId: match.id, message: 'before' });
    await erase(stack, match.alice);
    await erased(stack, match.alice);
    const token = sign({ sub: match.alice, iat: now() + 1, exp: now() + 3_600 }, stack.secret);
    const mine = async (path) => call(stack, null, 'GET', path, undefined, token);
    assert.deepEqual((await mine('/matches')).json.matches, []);
    for (const path of ['', '/messages', '/changes', '/receipts']) {
      const { status, json } = await mine(`/matches/${match.id}${path}`);
      assert.deepEqual([status, json.code], [404, 'MATCH_NOT_FOUND'], path);
    }
    const next = await newMatch(stack, [match.alice, match.bob]);
    const back = await connect(stack, match.alice, { auth: { token } });
    await done(back, 'send_message', { matchId: next.id, message: 'after' });
    const repeated = await erased(stack, match.alice);
    assert.equal(countsOf(repeated).messages, 1, 'the erasure was of what there was');
    assert.equal((await mine(`/matches/${next.id}/messages`)).json.messages[0].message, 'after');
  });

  test('can be deleted again, and one that nobody knows as well', async () => {
    const user = `u-${randomUUID()}`;
    for (let time = 0; time < 2; time += 1) {
      const { status, json } = await erase(stack, user);
      assert.deepEqual([status, json.userId], [202, user]);
      assert.ok((await erased(stack, user)).steps.every(({ state, count }) => state === 'done' && count === 0));
    }
  });

  test('is the app server\'s to delete', async () => {
    const user = `u-${randomUUID()}`;
    for (const [by, method, path, status, code] of [
      [user, 'DELETE', `/users/${user}`, 403, 'FORBIDDEN'],
      [user, 'DELETE', '/users/me', 403, 'FORBIDDEN'],
      [user, 'GET', `/users/${user}/erasure`, 403, 'FORBIDDEN'],
      [null, 'GET', `/users/${user}/erasure`, 404, 'MATCH_NOT_FOUND'],
      [null, 'DELETE', '/users/x%20y', 400, 'INVALID_PAYLOAD'],
      [null, 'DELETE', `/users/${'x'.repeat(65)}`, 400, 'INVALID_PAYLOAD'],
      [null, 'GET', '/users/x%00y/erasure', 400, 'INVALID_PAYLOAD'],
    ]) {
      const answer = await call(stack, by, method, path);
      assert.deepEqual([answer.status, answer.json.code], [status, code], `${method} ${path}`);
    }
    const nobody = await rest(stack, 'DELETE', `/users/${user}`, {});
    assert.deepEqual([nobody.status, nobody.json.code], [401, 'UNAUTHENTICATED']);
    assert.equal((await call(stack, user, 'GET', '/users/me/settings')).status, 200, 'and nothing was revoked');
  });
});

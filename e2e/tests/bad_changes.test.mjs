// What clients should not ask of messages, receipts, blocks and reports: each gets its code, and nothing is stored.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { useStack } from './support/stack.mjs';
import { ask, connect, done, joinedPair, refused, rest, serviceToken, userToken } from './support/people.mjs';

const HUGE = [2 ** 53, 9_223_372_036_854_775_807n, 1e300].map(String);
const INVALID = { status: 400, code: 'INVALID_PAYLOAD' };
/** As JSON: no seq at all. */
const NO_SEQS = ['0', '-1', '1.5', '"1"', 'null', 'true', '[]', '{}', '1e400', '9223372036854775808'];

describe('what cannot be asked', { concurrency: 4 }, () => {
  const stack = useStack({ replicas: 1 });

  /** A REST call with a body as it is written. */
  const raw = async (user, method, path, body) => {
    const response = await fetch(`${stack.url(0)}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${user ? userToken(stack, user) : serviceToken(stack)}`,
        'content-type': 'application/json',
      },
      body,
    });
    const text = await response.text();
    return { status: response.status, code: text && JSON.parse(text).code };
  };

  /** A chat with one message, and what tells that all is as it was. */
  async function chat() {
    const { match, alice, bob } = await joinedPair(stack);
    await done(alice, 'send_message', { matchId: match.id, message: 'hello' });
    const read = async (path) =>
      (await rest(stack, 'GET', `/matches/${match.id}${path}`, { token: userToken(stack, match.alice) })).json;
    // Of receipts the own: the other's device proves that it has the message.
    const all = async () => [await read('/messages'), await read('/changes'), (await read('/receipts')).me];
    const state = async () => JSON.stringify(await all());
    const before = await state();
    return { match, alice, bob, unharmed: async () => assert.equal(await state(), before) };
  }

  test('of messages by sockets', async () => {
    const { match, alice, unharmed } = await chat();
    const matchId = match.id;
    const commands = {
      edit_message: { message: 'x' },
      delete_message: { scope: 'everyone' },
      react: { emoji: '👍', on: true },
      mark_read: {},
    };
    for (const [event, more] of Object.entries(commands)) {
      for (const seq of [0, -1, 1.5, '1', null, true, [], {}, undefined]) {
        const of = event === 'mark_read' && seq === 0 ? -2 : seq; // nothing is read: that can be said
        const { code } = await refused(alice, event, { matchId, seq: of, ...more });
        assert.equal(code, 'INVALID_PAYLOAD', `${event} ${seq}`);
      }
      for (const seq of [2, 2 ** 53, Number.MAX_SAFE_INTEGER]) {
        const code = event === 'mark_read' ? 'INVALID_PAYLOAD' : 'MESSAGE_NOT_FOUND';
        assert.equal((await refused(alice, event, { matchId, seq, ...more })).code, code, `${event} ${seq}`);
      }
      const strange = { matchId: 'a.b', seq: 1, ...more };
      for (const payload of [undefined, null, 7, 'x', [], {}, { seq: 1, ...more }, strange]) {
        const ack = await ask(alice, event, ...(payload === undefined ? [] : [payload]));
        assert.equal(ack.error?.code, 'INVALID_PAYLOAD', `${event} ${JSON.stringify(payload)}`);
      }
      for (const clientId of event === 'mark_read' || event === 'delete_message' ? [] : ['', 'x'.repeat(65), 7, {}]) {
        const { code } = await refused(alice, event, { matchId, seq: 1, ...more, clientId });
        assert.equal(code, 'INVALID_PAYLOAD', `${event} ${JSON.stringify(clientId)}`);
      }
    }
    await unharmed();
  });

  test('as an edit', async () => {
    const { match, alice, unharmed } = await chat();
    for (const [message, code] of [
      ['x'.repeat(4_001), 'PAYLOAD_TOO_LARGE'],
      ['🎈'.repeat(4_001), 'PAYLOAD_TOO_LARGE'],
      [{ text: 'x'.repeat(17 * 1024) }, 'PAYLOAD_TOO_LARGE'],
      ['\ud83d', 'INVALID_PAYLOAD'],
      [{ text: '\udc4d' }, 'INVALID_PAYLOAD'],
      [null, 'INVALID_PAYLOAD'],
      [[], 'INVALID_PAYLOAD'],
      [1, 'INVALID_PAYLOAD'],
    ]) {
      const error = await refused(alice, 'edit_message', { matchId: match.id, seq: 1, message });
      assert.equal(error.code, code, JSON.stringify(message).slice(0, 40));
    }
    await unharmed();
    await done(alice, 'edit_message', { matchId: match.id, seq: 1, message: '🎈'.repeat(4_000) });
  });

  test('as a reaction', async () => {
    const { match, alice, unharmed } = await chat();
    const none = [
      '', ' ', 'a', '1', '#', ':+1:', '👍👍', '👍 ', 'x👍', '\u200d', '\ufe0f', '\u{1f3fb}\u{1f3fb}', '🇩',
      '👍'.repeat(40), '👩‍'.repeat(20), '\ud83d', '\udc4d', '\ud83d\ud83d', 7, null, true, [], { emoji: '👍' }, ['👍'],
    ];
    for (const emoji of none) {
      const { code } = await refused(alice, 'react', { matchId: match.id, seq: 1, emoji, on: true });
      assert.equal(code, 'INVALID_PAYLOAD', JSON.stringify(emoji));
    }
    for (const on of [1, 'true', null, undefined, []]) {
      const { code } = await refused(alice, 'react', { matchId: match.id, seq: 1, emoji: '👍', on });
      assert.equal(code, 'INVALID_PAYLOAD', String(on));
    }
    const path = `/matches/${match.id}/messages/1/reactions`;
    for (const emoji of ['x', '%F0%9F%91', '%ED%A0%BD', '%00', encodeURIComponent('👍'.repeat(40))]) {
      assert.deepEqual(await raw(match.alice, 'PUT', `${path}/${emoji}`), INVALID, emoji);
    }
    await unharmed();
    // Twice the same, and back: each is one reaction or none.
    for (const [emoji, on] of [['❤', true], ['❤️', true], ['❤️', false], ['❤', false]]) {
      await done(alice, 'react', { matchId: match.id, seq: 1, emoji, on });
    }
    const log = await rest(stack, 'GET', `/matches/${match.id}/changes`, { token: userToken(stack, match.alice) });
    assert.deepEqual(log.json.changes.map(({ rev }) => rev), [1, 2]);
  });

  test('by REST of messages and pages', async () => {
    const { match, unharmed } = await chat();
    const of = `/matches/${match.id}`;
    for (const seq of ['0', '-1', '1.5', 'x', '1e3', '%20', '9223372036854775808']) {
      for (const [method, path, body] of [
        ['PATCH', `${of}/messages/${seq}`, '{"message":"x"}'],
        ['DELETE', `${of}/messages/${seq}`],
        ['DELETE', `${of}/messages/${seq}?scope=me`],
        ['PUT', `${of}/messages/${seq}/reactions/%F0%9F%91%8D`],
      ]) {
        const answer = await raw(match.alice, method, path, body);
        assert.deepEqual(answer, INVALID, `${method} ${path}`);
      }
    }
    const pages = ['after=-1', 'after=1.5', 'after=x', 'after=', 'limit=0', 'limit=201', 'limit=-1', 'after=1&after=2'];
    for (const query of pages) {
      const answer = await raw(match.alice, 'GET', `${of}/changes?${query}`);
      assert.deepEqual(answer, INVALID, query);
    }
    for (const after of ['2', '9223372036854775807']) {
      assert.equal((await raw(match.alice, 'GET', `${of}/changes?after=${after}`)).status, 200, after);
    }
    await unharmed();
  });

  test('of receipts', async () => {
    const { match, alice, unharmed } = await chat();
    const path = `/matches/${match.id}/receipts`;
    const put = (body) => raw(match.alice, 'PUT', path, body);
    for (const seq of [...NO_SEQS.filter((seq) => !['0', 'null'].includes(seq)), ...HUGE]) {
      for (const field of ['seq', 'deliveredSeq']) {
        const answer = await put(`{"${field}":${seq}}`);
        assert.deepEqual(answer, INVALID, `${field} ${seq}`);
      }
    }
    for (const body of ['{}', '[]', 'null', '7', '', '{"seq":null}', '{"seq":1', '{"seq":2}', '{"seq":1,"seq":1}']) {
      assert.deepEqual(await put(body), INVALID, body);
    }
    const marks = [[7], [{ matchId: match.id }], [{ seq: 1 }], [{ matchId: '', seq: 1 }]];
    for (const chats of [undefined, null, {}, 'x', ...marks]) {
      assert.equal((await refused(alice, 'mark_delivered', { chats })).code, 'INVALID_PAYLOAD', JSON.stringify(chats));
    }
    const many = Array.from({ length: 101 }, () => ({ matchId: match.id, seq: 1 }));
    assert.equal((await refused(alice, 'mark_delivered', { chats: many })).code, 'INVALID_PAYLOAD');
    await unharmed();
    for (const [user, id] of [['stranger', match.id], [match.alice, 'absent']]) {
      const absent = await raw(user, 'PUT', `/matches/${id}/receipts`, '{"seq":1}');
      assert.deepEqual(absent, { status: 404, code: 'MATCH_NOT_FOUND' });
    }
  });

  test('of blocks and settings', async () => {
    const user = `u-${randomUUID()}`;
    for (const other of [user, 'x%20y', 'a.b', '*', '%00', 'x'.repeat(65), '%FF']) {
      for (const method of ['PUT', 'DELETE']) {
        if (method === 'DELETE' && other === user) continue;
        const answer = await raw(user, method, `/users/me/blocks/${other}`);
        assert.deepEqual(answer, INVALID, `${method} ${other}`);
      }
    }
    for (const query of ['after=x%20y', 'limit=0', 'limit=201', 'limit=x', 'after=a&after=b']) {
      assert.equal((await raw(user, 'GET', `/users/me/blocks?${query}`)).code, 'INVALID_PAYLOAD', query);
    }
    for (const body of ['{"receipts":"none"}', '{"receipts":true}', '{"receipts":7}', '[]', '', 'x']) {
      assert.deepEqual(await raw(user, 'PUT', '/users/me/settings', body), INVALID, body);
    }
    const all = await rest(stack, 'GET', '/users/me/blocks', { token: userToken(stack, user) });
    assert.deepEqual(all.json, { blocks: [], hasMore: false });
  });

  test('as a report', async () => {
    const { match, unharmed } = await chat();
    const report = (body) => raw(match.bob, 'POST', `/matches/${match.id}/report`, body);
    for (const body of [
      '', '[]', 'null', '{}', '{"reason":null}', '{"reason":7}', '{"reason":""}', '{"reason":"\\u0000"}',
      '{"reason":"\\ud83d"}', `{"reason":"${'x'.repeat(65)}"}`, '{"reason":"x","note":7}',
      '{"reason":"x","note":"\\u0000"}',
      `{"reason":"x","note":"${'🎈'.repeat(1_001)}"}`, '{"reason":"x","seqs":1}', '{"reason":"x","seqs":["1"]}',
      ...NO_SEQS.map((seq) => `{"reason":"x","seqs":[${seq}]}`), '{"reason":"x","block":"yes"}',
      `{"reason":"x","seqs":[${Array.from({ length: 51 }, (_, n) => n + 1)}]}`,
    ]) {
      assert.deepEqual(await report(body), INVALID, body.slice(0, 60));
    }
    for (const seq of ['2', '9007199254740993', '9223372036854775807']) {
      const absent = await report(`{"reason":"x","seqs":[1,${seq}]}`);
      assert.deepEqual(absent, { status: 404, code: 'MESSAGE_NOT_FOUND' }, seq);
    }
    const token = userToken(stack, match.bob);
    for (const key of ['', 'x'.repeat(256)]) {
      const headers = { 'idempotency-key': key };
      const path = `/matches/${match.id}/report`;
      const { status } = await rest(stack, 'POST', path, { token, body: { reason: 'x' }, headers });
      assert.equal(status, 400, `a key of ${key.length}`);
    }
    for (const query of ['after=x', 'limit=0', 'limit=201', 'after=1.5']) {
      assert.equal((await raw(null, 'GET', `/reports?${query}`)).code, 'INVALID_PAYLOAD', query);
    }
    for (const id of ['0', '-1', '9223372036854775807']) {
      assert.deepEqual(await raw(null, 'GET', `/reports/${id}`), { status: 404, code: 'MATCH_NOT_FOUND' }, id);
      assert.deepEqual(await raw(null, 'POST', `/reports/${id}/resolve`), { status: 404, code: 'MATCH_NOT_FOUND' }, id);
    }
    for (const id of ['x', '1.5', '9223372036854775808']) {
      assert.deepEqual(await raw(null, 'GET', `/reports/${id}`), INVALID, id);
    }
    await unharmed();
    const mine = await connect(stack, match.bob);
    assert.ok(mine.connected);
    const filed = await rest(stack, 'GET', '/reports?limit=200', { token: serviceToken(stack) });
    assert.deepEqual(filed.json.reports.filter(({ matchId }) => matchId === match.id), [], 'nothing was filed');
  });
});

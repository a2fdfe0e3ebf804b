// Messages that change after they were sent: edited, deleted, reacted to, answered; live, missed, and by REST.
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
  next,
  pause,
  refused,
  rest,
  seen,
  upTo,
  userToken,
} from './support/people.mjs';

const changes = (socket) => seen(socket, 'message_changed');
const isTime = (text) => new Date(text).toISOString() === text;

async function sent(socket, match, message = 'hello', more = {}) {
  return (await done(socket, 'send_message', { matchId: match.id, message, ...more })).seq;
}

/** Messages of the match as this user reads them. */
async function page(stack, match, user, path = 'messages') {
  const { json } = await rest(stack, 'GET', `/matches/${match.id}/${path}`, { token: userToken(stack, user) });
  return json[path];
}

describe('messages that change', { concurrency: 4 }, () => {
  const stack = useStack();

  test('an edit reaches all who have joined, and every page shows it', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const tablet = await connect(stack, match.alice, { gateway: 1 });
    await done(tablet, 'join_chat', match.id);
    const seq = await sent(alice, match, { text: 'helo', lang: 'en' });
    const ack = await done(alice, 'edit_message', { matchId: match.id, seq, message: { text: 'hello' } });
    assert.deepEqual(ack, { ok: true, matchId: match.id, seq, rev: 1, duplicate: false });
    for (const socket of [alice, bob, tablet]) {
      await eventually(() => changes(socket).length, 'the edit');
      const [{ editedAt, ...changed }] = changes(socket);
      assert.ok(isTime(editedAt));
      const told = { matchId: match.id, rev: 1, kind: 'edited', afterSeq: 1, seq, by: match.alice };
      assert.deepEqual(changed, { ...told, message: { text: 'hello' } });
    }
    const [shown] = await page(stack, match, match.bob);
    assert.deepEqual([shown.message, shown.text, shown.lang], [{ text: 'hello' }, 'hello', undefined]);
    const joined = await done(bob, 'join_chat', { matchId: match.id, sinceSeq: 0, sinceRev: 0 });
    assert.deepEqual(joined.messages, [shown]);
    assert.deepEqual([joined.rev, joined.limited, joined.changes.length], [1, false, 1]);
    assert.deepEqual(joined.changes, await page(stack, match, match.bob, 'changes'));
    assert.deepEqual((await done(bob, 'join_chat', { matchId: match.id, sinceRev: 1 })).changes, []);
    for (const query of ['', '?before=2', '?after=0', '?before=1']) {
      const path = `/matches/${match.id}/messages${query}`;
      assert.equal((await rest(stack, 'GET', path, { token: userToken(stack, match.bob) })).json.rev, 1, query);
    }
  });

  test('a repeat changes nothing, whatever has come since', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const clientId = randomUUID();
    const seq = await sent(alice, match, 'first', { clientId });
    const edit = (message, name) => ({ matchId: match.id, seq, message, clientId: name });
    const like = { matchId: match.id, seq, emoji: '👍', on: true, clientId: 'like' };
    assert.equal((await done(alice, 'edit_message', edit('second', 'e2'))).rev, 1);
    assert.equal((await done(bob, 'react', like)).rev, 2);
    assert.equal((await done(alice, 'edit_message', edit('third', 'e3'))).rev, 3);
    assert.equal((await done(bob, 'react', { ...like, on: false, clientId: 'dislike' })).rev, 4);
    const again = await done(bob, 'edit_message', { ...edit('second', 'e2') }).catch(() => null);
    assert.equal(again, null, "bob's command of this name is another one");
    const answer = async (...command) => done(...command).then(({ rev, duplicate }) => [rev, duplicate]);
    assert.deepEqual(await answer(alice, 'edit_message', edit('second', 'e2')), [1, true]);
    assert.deepEqual(await answer(bob, 'react', like), [2, true]);
    assert.equal((await refused(alice, 'edit_message', edit('other', 'e2'))).code, 'IDEMPOTENCY_CONFLICT');
    // The send itself, repeated late, is still that message.
    const repeat = await done(alice, 'send_message', { matchId: match.id, message: 'first', clientId });
    assert.deepEqual([repeat.seq, repeat.duplicate], [seq, true]);
    const other = { matchId: match.id, message: 'third', clientId };
    assert.equal((await refused(alice, 'send_message', other)).code, 'IDEMPOTENCY_CONFLICT');
    await done(alice, 'delete_message', { matchId: match.id, seq, scope: 'everyone' });
    assert.equal((await done(alice, 'edit_message', edit('third', 'e3'))).duplicate, true);
    const late = await done(alice, 'send_message', { matchId: match.id, message: 'first', clientId });
    assert.deepEqual([late.seq, late.duplicate], [seq, true]);
    const [{ message, deleted }] = await page(stack, match, match.bob);
    assert.deepEqual([message, deleted], [undefined, true]);
    await eventually(() => changes(bob).length === 5, 'all changes');
    await pause(300);
    assert.deepEqual(changes(bob).map(({ rev }) => rev), upTo(5));
  });

  test('a deleted message comes back by no way', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const seq = await sent(alice, match, 'secret');
    await done(bob, 'react', { matchId: match.id, seq, emoji: '❤', on: true });
    await done(alice, 'edit_message', { matchId: match.id, seq, message: 'secret too' });
    const gone = await done(alice, 'delete_message', { matchId: match.id, seq, scope: 'everyone' });
    assert.deepEqual([gone.rev, gone.duplicate], [3, false]);
    await eventually(() => changes(bob).length === 3, 'the deletion');
    const told = { matchId: match.id, rev: 3, kind: 'deleted', afterSeq: 1, seq, by: match.alice };
    assert.deepEqual(changes(bob).at(-1), told);
    assert.deepEqual(changes(bob)[0].reactions, { '❤️': [match.bob] });

    const joined = await done(bob, 'join_chat', { matchId: match.id, sinceSeq: 0, sinceRev: 0 });
    const read = [joined, await page(stack, match, match.bob), await page(stack, match, match.alice, 'changes')];
    assert.ok(!JSON.stringify(read).includes('secret'), JSON.stringify(read));
    const [{ deleted, message, reactions, editedAt }] = joined.messages;
    assert.deepEqual([deleted, message, reactions, editedAt], [true, undefined, undefined, undefined]);
    const late = await connect(stack, match.bob);
    await done(late, 'join_chat', { matchId: match.id, sinceSeq: 0 });
    for (const [event, more] of [['edit_message', { message: 'x' }], ['react', { emoji: '👍', on: true }]]) {
      assert.equal((await refused(alice, event, { matchId: match.id, seq, ...more })).code, 'MESSAGE_DELETED');
    }
    assert.equal(await sent(alice, match, 'next'), 2, 'its place is kept');
  });

  test('what was missed is told once, as it is by then', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    for (const text of ['one', 'two', 'three']) await sent(alice, match, text);
    await eventually(() => seen(bob, 'receive_message').length === 3, 'a cursor');
    await comeBack(stack, bob, {
      gateway: 0,
      meanwhile: async () => {
        await done(alice, 'edit_message', { matchId: match.id, seq: 1, message: 'uno' });
        await done(alice, 'edit_message', { matchId: match.id, seq: 2, message: 'dos' });
        await sent(alice, match, 'four');
        await done(alice, 'react', { matchId: match.id, seq: 3, emoji: '🎉', on: true });
        await done(alice, 'delete_message', { matchId: match.id, seq: 2, scope: 'everyone' });
      },
    });
    assert.ok(bob.recovered);
    await eventually(() => changes(bob).some(({ rev }) => rev === 4), 'what was missed');
    await pause(300);
    // The edit of what is deleted by now is not told.
    const heard = changes(bob).map(({ rev, kind, seq }) => [rev, kind, seq]);
    assert.deepEqual(heard, [[1, 'edited', 1], [3, 'reactions', 3], [4, 'deleted', 2]]);
    assert.deepEqual(seen(bob, 'receive_message').map(({ seq }) => seq), upTo(4));
    assert.ok(!JSON.stringify(bob.received).includes('dos'));
  });

  test('what a user deletes for itself is gone for that user alone', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const tablet = await connect(stack, match.bob, { gateway: 0 });
    await done(tablet, 'join_chat', match.id);
    for (const text of ['one', 'two', 'three']) await sent(alice, match, text);
    await eventually(() => seen(bob, 'receive_message').length === 3, 'the messages');
    const hide = { matchId: match.id, seq: 2, scope: 'me' };
    const ack = await done(bob, 'delete_message', hide);
    assert.deepEqual(ack, { ok: true, matchId: match.id, seq: 2, duplicate: false });
    assert.equal((await done(bob, 'delete_message', hide)).duplicate, true);
    await eventually(() => changes(tablet).length === 2, 'the news');
    assert.deepEqual(changes(tablet)[0], { matchId: match.id, seq: 2, kind: 'hidden' });
    await done(alice, 'edit_message', { matchId: match.id, seq: 2, message: 'dos' });
    await done(alice, 'react', { matchId: match.id, seq: 2, emoji: '👍', on: true });
    await done(alice, 'edit_message', { matchId: match.id, seq: 3, message: 'tres' });
    const live = async (socket, count) => {
      await eventually(() => changes(socket).some(({ seq }) => seq === 3), 'the change behind them');
      assert.deepEqual(changes(socket).filter(({ kind }) => kind !== 'hidden').map(({ rev }) => rev), count);
    };
    await Promise.all([live(alice, [1, 2, 3]), live(bob, [3]), live(tablet, [3])]);
    const cursor = bob.received.findLast(([name]) => name === 'message_changed').at(-1);
    assert.ok(cursor.includes(`${match.id}:3:3`), 'the room has moved on');
    const seqs = async (user) => (await page(stack, match, user)).map(({ seq }) => seq);
    assert.deepEqual([await seqs(match.bob), await seqs(match.alice)], [[1, 3], [1, 2, 3]]);
    const joined = await done(bob, 'join_chat', { matchId: match.id, sinceSeq: 0, sinceRev: 0 });
    assert.deepEqual(joined.messages.map(({ seq }) => seq), [1, 3]);
    const bare = [1, 2].map((rev) => ({ matchId: match.id, rev }));
    assert.deepEqual(joined.changes.slice(0, 2), bare, 'changes that may not be seen');
    assert.deepEqual(changes(alice).filter(({ kind }) => kind === 'hidden'), []);
    const again = await connect(stack, match.bob);
    const rejoined = await done(again, 'join_chat', { matchId: match.id, sinceSeq: 1 });
    assert.deepEqual([rejoined.messages.map(({ seq }) => seq), rejoined.lastSeq], [[3], 3]);
  });

  test('an answer names the message that it answers', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    await sent(alice, match, 'question');
    const seq = await sent(bob, match, 'answer', { replyTo: 1, clientId: 'answer' });
    await eventually(() => seen(alice, 'receive_message').length, 'the answer');
    assert.equal(seen(alice, 'receive_message')[0].replyTo, 1);
    assert.deepEqual((await page(stack, match, match.alice)).map(({ replyTo }) => replyTo), [undefined, 1]);
    const again = { matchId: match.id, message: 'answer', replyTo: 1, clientId: 'answer' };
    assert.equal((await done(bob, 'send_message', again)).seq, seq);
    const elsewhere = { matchId: match.id, message: 'answer', replyTo: 2, clientId: 'answer' };
    assert.equal((await refused(bob, 'send_message', elsewhere)).code, 'IDEMPOTENCY_CONFLICT');
    const absent = { matchId: match.id, message: 'x', replyTo: 99 };
    assert.equal((await refused(bob, 'send_message', absent)).code, 'MESSAGE_NOT_FOUND');
    const token = userToken(stack, match.alice);
    const body = { message: 'x', replyTo: 2 };
    const posted = await rest(stack, 'POST', `/matches/${match.id}/messages`, { token, body });
    assert.deepEqual([posted.status, posted.json.replyTo], [201, 2]);
  });

  test('REST changes messages as sockets do', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const seq = await sent(alice, match, 'hello');
    const call = (method, path, user, body) =>
      rest(stack, method, `/matches/${match.id}/messages/${path}`, { token: userToken(stack, user), body });
    const edited = await call('PATCH', seq, match.alice, { message: 'hi' });
    assert.deepEqual(edited.json, { ok: true, matchId: match.id, seq, rev: 1, duplicate: false });
    const thumb = encodeURIComponent('👍');
    assert.equal((await call('PUT', `${seq}/reactions/${thumb}`, match.bob)).json.rev, 2);
    assert.equal((await call('DELETE', `${seq}/reactions/${thumb}`, match.bob)).json.rev, 3);
    assert.equal((await call('DELETE', `${seq}?scope=me`, match.bob)).json.duplicate, false);
    assert.equal((await call('DELETE', seq, match.bob)).json.code, 'FORBIDDEN');
    assert.equal((await call('DELETE', seq, match.alice)).json.rev, 4);
    await eventually(() => changes(alice).length === 4, 'all changes');
    const refusals = [
      [await call('PATCH', seq, match.alice, { message: 'x' }), 410, 'MESSAGE_DELETED'],
      [await call('PATCH', 9, match.alice, { message: 'x' }), 404, 'MESSAGE_NOT_FOUND'],
      [await call('PATCH', 0, match.alice, { message: 'x' }), 400, 'INVALID_PAYLOAD'],
      [await call('PATCH', 'x', match.alice, { message: 'x' }), 400, 'INVALID_PAYLOAD'],
      [await call('PUT', `${seq}/reactions/x`, match.alice), 400, 'INVALID_PAYLOAD'],
      [await call('DELETE', `${seq}?scope=all`, match.alice), 400, 'INVALID_PAYLOAD'],
      [await call('PATCH', seq, 'stranger', { message: 'x' }), 404, 'MATCH_NOT_FOUND'],
    ];
    for (const [{ status, json }, ...expected] of refusals) assert.deepEqual([status, json.code], expected);
    const token = userToken(stack, match.alice);
    const log = await rest(stack, 'GET', `/matches/${match.id}/changes?after=1&limit=2`, { token });
    const { changes: listed, ...rest_ } = log.json;
    assert.deepEqual(rest_, { throughRev: 3, hasMore: true, oldestRev: 1 });
    assert.deepEqual(listed.map(({ rev, kind }) => [rev, kind]), [[2, 'reactions'], [3, 'reactions']]);
  });
});

describe('commands to messages that cannot be done', () => {
  const stack = useStack();
  const huge = 2 ** 53;

  test('are refused with their code, and the connection lives', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const seq = await sent(alice, match);
    const of = { matchId: match.id, seq };
    const edit = { ...of, message: 'x' };
    const like = { ...of, emoji: '👍', on: true };
    const absent = `m-${randomUUID()}`;
    const cases = [
      ['edit_message', { ...edit, seq: 0 }, 'INVALID_PAYLOAD'],
      ['edit_message', { ...edit, seq: -1 }, 'INVALID_PAYLOAD'],
      ['edit_message', { ...edit, seq: 1.5 }, 'INVALID_PAYLOAD'],
      ['edit_message', { ...edit, seq: '1' }, 'INVALID_PAYLOAD'],
      ['edit_message', { ...edit, seq: huge }, 'MESSAGE_NOT_FOUND'],
      ['edit_message', { ...edit, seq: seq + 1 }, 'MESSAGE_NOT_FOUND'],
      ['edit_message', { ...edit, message: 'x'.repeat(4001) }, 'PAYLOAD_TOO_LARGE'],
      ['edit_message', { ...edit, message: 7 }, 'INVALID_PAYLOAD'],
      ['edit_message', { ...edit, clientId: '' }, 'INVALID_PAYLOAD'],
      ['edit_message', { ...edit, matchId: absent }, 'MATCH_NOT_FOUND'],
      ['edit_message', {}, 'INVALID_PAYLOAD'],
      ['edit_message', null, 'INVALID_PAYLOAD'],
      ['delete_message', of, 'INVALID_PAYLOAD'],
      ['delete_message', { ...of, scope: 'all' }, 'INVALID_PAYLOAD'],
      ['delete_message', { ...of, scope: 'me', seq: seq + 1 }, 'MESSAGE_NOT_FOUND'],
      ['delete_message', { ...of, scope: 'me', matchId: absent }, 'MATCH_NOT_FOUND'],
      ['react', { ...like, emoji: 'x' }, 'INVALID_PAYLOAD'],
      ['react', { ...like, emoji: '' }, 'INVALID_PAYLOAD'],
      ['react', { ...like, emoji: '👍'.repeat(40) }, 'INVALID_PAYLOAD'],
      ['react', { ...like, emoji: '\ud83d' }, 'INVALID_PAYLOAD'],
      ['react', { ...like, on: 1 }, 'INVALID_PAYLOAD'],
      ['react', of, 'INVALID_PAYLOAD'],
      ['join_chat', { matchId: match.id, sinceRev: -1 }, 'INVALID_PAYLOAD'],
      ['join_chat', { matchId: match.id, sinceRev: 'x' }, 'INVALID_PAYLOAD'],
      ['send_message', { matchId: match.id, message: 'x', replyTo: 0 }, 'INVALID_PAYLOAD'],
      ['send_message', { matchId: match.id, message: 'x', replyTo: 1.5 }, 'INVALID_PAYLOAD'],
      ['send_message', { matchId: match.id, message: 'x', replyTo: huge }, 'MESSAGE_NOT_FOUND'],
    ];
    for (const [event, payload, code] of cases) {
      assert.equal((await refused(alice, event, payload)).code, code, `${event} ${JSON.stringify(payload)}`);
    }
    for (const command of [edit, { ...of, scope: 'everyone' }]) {
      const event = command.scope ? 'delete_message' : 'edit_message';
      assert.equal((await refused(bob, event, command)).code, 'FORBIDDEN');
    }
    const told = next(alice, 'message_error');
    alice.emit('react', { ...like, emoji: 'x', clientId: 'c' });
    assert.deepEqual([(await told).code, (await told).clientId], ['INVALID_PAYLOAD', 'c']);
    assert.deepEqual([await page(stack, match, match.alice, 'changes'), alice.connected], [[], true]);
  });

  test('a stranger is told the same of a match that there is and of one that there is not', async () => {
    const { match, alice } = await joinedPair(stack);
    const seq = await sent(alice, match);
    const mallory = await connect(stack, `x-${randomUUID()}`);
    for (const [event, more] of [
      ['edit_message', { message: 'x' }],
      ['delete_message', { scope: 'everyone' }],
      ['delete_message', { scope: 'me' }],
      ['react', { emoji: '👍', on: true }],
    ]) {
      const errors = [];
      for (const matchId of [match.id, 'absent']) errors.push(await refused(mallory, event, { matchId, seq, ...more }));
      assert.deepEqual(errors[0], errors[1]);
      assert.equal(errors[0].code, 'MATCH_NOT_FOUND');
    }
  });
});

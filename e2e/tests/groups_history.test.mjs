// What members of a group see who have come later: live, in pages, and when they come back.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { useStack } from './support/stack.mjs';
import { comeBack, connect, done, eventually, next, pause, refused, rest, seen, userToken } from './support/people.mjs';
import { call, leave, member, newGroup, patch, users } from './support/groups.mjs';

const code = ({ status, json }) => [status, json?.code];
const changes = (socket) => seen(socket, 'message_changed');
const seqs = (socket) => seen(socket, 'receive_message').map(({ seq }) => seq);

/** A group whose owner has sent two messages before one member came without the history, and one with it. */
async function groupOfTwoAges(stack) {
  const [owner, mia, ned, all] = users('o', 'm', 'n', 'h');
  const group = await newGroup(stack, { owner, members: [mia] });
  const ows = await connect(stack, owner);
  await done(ows, 'join_chat', group.id);
  for (const message of ['one', 'two']) await done(ows, 'send_message', { matchId: group.id, message });
  await done(ows, 'react', { matchId: group.id, seq: 1, emoji: '👍', on: true });
  const add = [member(ned), member(all, 'member', { history: 'all' })];
  assert.equal((await patch(stack, null, group, { add })).json.rev, 2);
  return { group, ows, owner, mia, ned, all };
}

describe('a member who came without the history', { concurrency: 4 }, () => {
  const stack = useStack();
  const get = async (user, group, path) => (await call(stack, user, 'GET', `/matches/${group.id}/${path}`)).json;

  test('sees in pages and joins what is behind its coming, and who came with it everything', async () => {
    const { group, ows, owner, ned, all } = await groupOfTwoAges(stack);
    await done(ows, 'send_message', { matchId: group.id, message: 'three' });
    const shown = async (user, path) => (await get(user, group, path)).messages.map(({ seq }) => seq);
    for (const path of ['messages', 'messages?after=0', 'messages?before=9']) {
      assert.deepEqual([await shown(ned, path), await shown(all, path)], [[3], [1, 2, 3]], path);
    }
    assert.deepEqual(await shown(ned, 'messages?before=3'), []);
    const bare = (rev) => ({ matchId: group.id, rev });
    const log = async (user) => (await get(user, group, 'changes')).changes;
    const [first, second] = await log(owner);
    assert.deepEqual([first.kind, second.kind], ['reactions', 'membership']);
    assert.deepEqual([await log(ned), await log(all)], [[bare(1), second], [first, second]]);
    const socket = await connect(stack, ned, { gateway: 1 });
    const join = await done(socket, 'join_chat', { matchId: group.id, sinceSeq: 0, sinceRev: 0 });
    assert.deepEqual(join.messages.map(({ seq }) => seq), [3]);
    assert.deepEqual([join.changes, join.lastSeq, join.rev, join.me.unread], [[bare(1), second], 3, 2, 1]);
    assert.deepEqual(join.notes, [second]);
  });

  test('is synced to what it sees', async () => {
    const { group, ows, owner, mia, ned, all } = await groupOfTwoAges(stack);
    const sync = async (user) => (await call(stack, user, 'POST', '/sync', {})).json.matches[0];
    const before = await sync(ned);
    assert.deepEqual([before.kind, before.lastSeq, before.lastMessage, before.messages], ['group', 2, null, []]);
    await done(ows, 'send_message', { matchId: group.id, message: 'three' });
    const [of, whole] = [await sync(ned), await sync(all)];
    assert.deepEqual([of.lastMessage.seq, of.messages.map(({ seq }) => seq), of.unread], [3, [3], 1]);
    assert.deepEqual(whole.messages.map(({ seq }) => seq), [1, 2, 3]);
    const members = [member(owner, 'owner'), member(mia), member(ned), member(all)];
    assert.deepEqual(of.members, members.toSorted((a, b) => (a.userId < b.userId ? -1 : 1)));
  });

  test('hears of what becomes of older messages only that something has', async () => {
    const { group, ows, ned, all } = await groupOfTwoAges(stack);
    const [nes, als] = await Promise.all([ned, all].map((user, i) => connect(stack, user, { gateway: i })));
    for (const socket of [nes, als]) await done(socket, 'join_chat', group.id);
    await done(ows, 'edit_message', { matchId: group.id, seq: 2, message: 'deux' });
    await done(ows, 'send_message', { matchId: group.id, message: 'three' });
    await done(ows, 'edit_message', { matchId: group.id, seq: 3, message: 'trois' });
    await eventually(() => changes(nes).length && changes(als).length === 2, 'the edits');
    assert.deepEqual([changes(nes).map(({ rev }) => rev), changes(als).map(({ rev }) => rev)], [[4], [3, 4]]);
    assert.ok(!JSON.stringify(nes.received).includes('deux'));
    const of = (seq, more) => ({ matchId: group.id, seq, ...more });
    for (const [event, argument] of [
      ['react', of(1, { emoji: '👍', on: true })],
      ['delete_message', of(2, { scope: 'me' })],
      ['send_message', { matchId: group.id, message: 'x', replyTo: 2 }],
    ]) {
      assert.equal((await refused(nes, event, argument)).code, 'MESSAGE_NOT_FOUND', event);
    }
    const report = await call(stack, ned, 'POST', `/matches/${group.id}/report`, { reason: 'x', seqs: [1] });
    assert.deepEqual(code(report), [404, 'MESSAGE_NOT_FOUND']);
    await done(nes, 'react', of(3, { emoji: '👍', on: true }));
  });

  test('is recovered where it was, and not to what it did not see', async () => {
    const { group, ows, mia } = await groupOfTwoAges(stack);
    const mis = await connect(stack, mia);
    await done(mis, 'join_chat', group.id);
    await done(ows, 'send_message', { matchId: group.id, message: 'three' });
    await eventually(() => seqs(mis).length === 1, 'a cursor');
    await comeBack(stack, mis, {
      meanwhile: async () => {
        await patch(stack, null, group, { remove: [mia] });
        await done(ows, 'send_message', { matchId: group.id, message: 'four' });
        await patch(stack, null, group, { add: [member(mia)] });
        await done(ows, 'send_message', { matchId: group.id, message: 'five' });
      },
    });
    assert.ok(mis.recovered);
    await eventually(() => seqs(mis).includes(5), 'what it may see');
    await pause(200);
    assert.deepEqual(seqs(mis), [3, 5]);
    const { json } = await rest(stack, 'GET', `/matches/${group.id}/messages`, { token: userToken(stack, mia) });
    assert.deepEqual(json.messages.map(({ seq }) => seq), [5], 'who comes again comes anew');
  });
});

describe('where inbox events are lost', () => {
  const stack = useStack({ losing: 2 });

  test('nobody hears what is not theirs, whatever their gateway has missed', async () => {
    const { group, ows, ned, mia } = await groupOfTwoAges(stack);
    const [nes, mis] = await Promise.all([ned, mia].map((user, i) => connect(stack, user, { gateway: i })));
    for (const socket of [nes, mis]) await done(socket, 'join_chat', group.id);
    for (let round = 0; round < 3; round += 1) {
      await done(ows, 'edit_message', { matchId: group.id, seq: 1, message: `secret ${round}` });
      await done(ows, 'send_message', { matchId: group.id, message: `open ${round}` });
    }
    await eventually(() => seqs(nes).length === 3, 'the messages', 30_000);
    assert.equal((await leave(stack, mia, group)).status, 204);
    const { seq } = await done(ows, 'send_message', { matchId: group.id, message: 'after' });
    await eventually(() => seen(mis, 'match_closed').length && seqs(nes).includes(seq), 'the end', 30_000);
    assert.ok(!seqs(mis).includes(seq));
    assert.ok(!JSON.stringify(nes.received).includes('secret'));
  });
});

describe('two of a group who have blocked one another', () => {
  const stack = useStack();

  test('read each other, and see neither the typing nor the receipts of the other', async () => {
    const [ann, bob, eve] = users('a', 'b', 'e');
    const group = await newGroup(stack, { owner: ann, members: [bob, eve] });
    const devices = [ann, bob, eve].map((user, i) => connect(stack, user, { gateway: i % 2 }));
    const [ans, bos, evs] = await Promise.all(devices);
    for (const socket of [ans, bos, evs]) await done(socket, 'join_chat', group.id);
    const types = (socket, isTyping) => done(socket, 'typing', { matchId: group.id, isTyping });
    const sees = (socket, user) => next(socket, 'user_typing', ({ userId, isTyping }) => userId === user && isTyping);
    const stops = next(ans, 'user_typing', ({ userId, isTyping }) => userId === bob && !isTyping);
    const shown = sees(ans, bob);
    await types(bos, true);
    await shown;
    assert.equal((await call(stack, ann, 'PUT', `/users/me/blocks/${bob}`)).status, 204);
    await stops;
    const before = [ans, bos].map((socket) => seen(socket, 'user_typing').length);
    for (const [socket, user] of [[ans, ann], [bos, bob]]) {
      const toEve = sees(evs, user);
      await types(socket, true);
      await toEve;
    }
    await done(bos, 'send_message', { matchId: group.id, message: 'still here' });
    await eventually(() => seqs(ans).length === 1, 'the message');
    const told = next(evs, 'receipt_updated', ({ userId }) => userId === ann);
    await done(ans, 'mark_read', { matchId: group.id, seq: 1 });
    await told;
    await pause(200);
    assert.deepEqual([ans, bos].map((socket) => seen(socket, 'user_typing').length), before);
    assert.ok(!seen(bos, 'receipt_updated').some(({ userId }) => userId === ann));
    const again = await connect(stack, bob, { gateway: 0 });
    const { others } = await done(again, 'join_chat', group.id);
    assert.deepEqual(others.map(({ userId }) => userId), [eve]);
    await types(ans, false);
    const byEve = sees(again, eve);
    await types(ans, true);
    await types(evs, true);
    await byEve;
    assert.ok(!seen(again, 'user_typing').some(({ userId }) => userId === ann), 'nor after another join');
  });
});

describe('a milestone', () => {
  const ours = { id: 'club', messages: 2, unlocks: ['albums'], scope: 'group' };
  const stack = useStack({ milestones: [{ id: 'calls', messages: 3, unlocks: ['video_call'] }, ours] });

  test('of groups is reached by groups alone', async () => {
    const [owner, mia] = users('o', 'm');
    const group = await newGroup(stack, { owner, members: [mia] });
    const socket = await connect(stack, owner);
    await done(socket, 'join_chat', group.id);
    const reached = next(socket, 'milestone_reached');
    for (const message of ['1', '2', '3', '4']) await done(socket, 'send_message', { matchId: group.id, message });
    assert.equal((await reached).milestoneId, 'club');
    const { json } = await call(stack, owner, 'GET', `/matches/${group.id}/milestones`);
    assert.deepEqual(json.milestones.map(({ milestoneId }) => milestoneId), ['club']);
    const pair = await call(stack, null, 'PUT', `/matches/p-${owner}`, { members: [owner, mia] });
    assert.equal(pair.status, 201);
    const calls = next(socket, 'milestone_reached');
    for (const message of ['1', '2', '3']) await done(socket, 'send_message', { matchId: `p-${owner}`, message });
    assert.equal((await calls).milestoneId, 'calls');
    await pause(500);
    assert.deepEqual(seen(socket, 'milestone_reached').map(({ milestoneId }) => milestoneId), ['club', 'calls']);
  });
});

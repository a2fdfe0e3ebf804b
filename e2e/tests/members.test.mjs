// A match whose members change: who hears what, live, missed, and after a change of gateways.
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
  next,
  pause,
  refused,
  seen,
  upTo,
} from './support/people.mjs';
import { changeMembers } from './support/grpc.mjs';

const seqs = (socket) => seen(socket, 'receive_message').map(({ seq }) => seq);
const ends = (socket) => seen(socket, 'match_closed');

describe('a match whose members change', { concurrency: 4 }, () => {
  const stack = useStack();

  test('is told to those of before and since, and what follows to the new ones', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const carol = await connect(stack, `c-${randomUUID()}`, { gateway: 1 });
    const tablet = await connect(stack, match.bob, { gateway: 0 });
    await done(alice, 'send_message', { matchId: match.id, message: 'before' });
    await eventually(() => seqs(bob).length === 1, 'the message');
    await changeMembers(stack, match, { add: [carol.user], remove: [match.bob] });
    const changed = { matchId: match.id, rev: 1, afterSeq: 1, added: [carol.user], removed: [match.bob], by: null };
    const removed = { matchId: match.id, reason: 'removed' };
    const isTold = () => ends(bob).length && ends(tablet).length && seen(carol, 'membership_changed').length;
    await eventually(isTold, 'the news');
    assert.deepEqual(seen(alice, 'membership_changed'), [changed]);
    assert.deepEqual(seen(carol, 'membership_changed'), [changed], 'who was added has not joined and hears of it');
    assert.deepEqual([ends(bob), ends(tablet), seen(bob, 'membership_changed')], [[removed], [removed], []]);

    assert.equal((await refused(bob, 'join_chat', match.id)).code, 'MATCH_NOT_FOUND');
    assert.equal((await refused(bob, 'typing', { matchId: match.id, isTyping: true })).code, 'NOT_JOINED');
    assert.equal((await refused(bob, 'send_message', { matchId: match.id, message: 'x' })).code, 'MATCH_NOT_FOUND');
    assert.equal((await done(carol, 'join_chat', { matchId: match.id, sinceSeq: 0 })).messages.length, 1);
    const shown = next(carol, 'user_typing');
    await done(alice, 'typing', { matchId: match.id, isTyping: true });
    assert.equal((await shown).userId, match.alice);
    await done(alice, 'send_message', { matchId: match.id, message: 'after' });
    await eventually(() => seqs(carol).length === 1, 'the message to the new member');
    await pause(300);
    assert.deepEqual([seqs(carol), seqs(bob)], [[2], [1]]);
    assert.deepEqual(seen(bob, 'inbox_updated').concat(seen(bob, 'user_typing')), []);
  });

  test('of three shows each who of the others types, and has no calls', async () => {
    const match = await newMatch(stack);
    const names = [...match.members, `c-${randomUUID()}`];
    await changeMembers(stack, match, { add: names.slice(2) });
    const sockets = await Promise.all(names.map((name, i) => connect(stack, name, { gateway: i % 2 })));
    await Promise.all(sockets.map((socket) => done(socket, 'join_chat', match.id)));
    const shown = sockets.slice(1).map((socket) => next(socket, 'user_typing'));
    await done(sockets[0], 'typing', { matchId: match.id, isTyping: true });
    for (const { userId, isTyping } of await Promise.all(shown)) assert.deepEqual([userId, isTyping], [names[0], true]);
    assert.equal((await refused(sockets[0], 'video_call_request', { matchId: match.id })).code, 'CALL_STATE_CONFLICT');
  });

  test('ends for who was away when it was removed, and for others goes on where it was', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    await done(bob, 'send_message', { matchId: match.id, message: 'first' });
    await eventually(() => seqs(alice).length === 1, 'a cursor');
    const meanwhile = () => changeMembers(stack, match, { add: [`c-${randomUUID()}`], replica: 1 });
    await comeBack(stack, alice, { meanwhile });
    assert.ok(alice.recovered);
    await eventually(() => seen(alice, 'membership_changed').length, 'what was missed');
    await done(alice, 'send_message', { matchId: match.id, message: 'second' });
    await eventually(() => seqs(bob).length === 1, 'a cursor');
    await comeBack(stack, bob, { gateway: 0, meanwhile: () => changeMembers(stack, match, { remove: [match.bob] }) });
    assert.ok(!bob.recovered, 'nothing is recovered of a chat that is not theirs any more');
    assert.equal((await refused(bob, 'join_chat', match.id)).code, 'MATCH_NOT_FOUND');
    assert.equal(seen(alice, 'membership_changed').length, 2);
  });
});

describe('where inbox events are lost', () => {
  const stack = useStack({ losing: 2 });

  test('who is removed hears of it, and nobody hears anything twice', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    for (let round = 0; round < 3; round += 1) {
      const guest = await connect(stack, `g${round}-${randomUUID()}`);
      await changeMembers(stack, match, { add: [guest.user] });
      await done(guest, 'join_chat', match.id);
      await changeMembers(stack, match, { remove: [guest.user], replica: round % 2 });
      await eventually(() => ends(guest).length, 'the end', 30_000);
      assert.deepEqual(ends(guest), [{ matchId: match.id, reason: 'removed' }]);
    }
    for (const socket of [alice, bob]) {
      await eventually(() => seen(socket, 'membership_changed').length >= 6, 'all changes', 30_000);
      assert.deepEqual(seen(socket, 'membership_changed').map(({ rev }) => rev), upTo(6));
    }
  });
});

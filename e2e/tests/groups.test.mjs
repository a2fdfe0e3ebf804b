// Groups: made by the app server, changed by it and by their owners and admins, left by their members.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { useStack } from './support/stack.mjs';
import { connect, done, eventually, newMatch, next, pause, refused, seen, upTo } from './support/people.mjs';
import { acquaint, call, leave, member, newGroup, patch, putGroup, users } from './support/groups.mjs';

const code = ({ status, json }) => [status, json?.code];
const seqs = (socket) => seen(socket, 'receive_message').map(({ seq }) => seq);
const changed = (socket) => seen(socket, 'membership_changed');

/** Sockets of these users on both gateways, with the chat open. */
async function joined(stack, group, names) {
  const sockets = await Promise.all(names.map((name, i) => connect(stack, name, { gateway: i % 2 })));
  await Promise.all(sockets.map((socket) => done(socket, 'join_chat', group.id)));
  return sockets;
}

describe('a group', { concurrency: 4 }, () => {
  const stack = useStack();

  test('is shown with its title and the roles of its members, and made once', async () => {
    const [owner, admin, mia] = users('o', 'a', 'm');
    const group = await newGroup(stack, { owner, admins: [admin], members: [mia], title: 'Hikers ⛰️' });
    const shown = await call(stack, mia, 'GET', `/matches/${group.id}`);
    const { matchId, kind, title, members, closed, lastSeq } = shown.json;
    assert.deepEqual([matchId, kind, title, closed, lastSeq], [group.id, 'group', 'Hikers ⛰️', false, 0]);
    const all = [member(admin, 'admin'), member(mia), member(owner, 'owner')];
    assert.deepEqual(members, all.toSorted((a, b) => (a.userId < b.userId ? -1 : 1)));
    assert.deepEqual((await call(stack, mia, 'GET', '/matches')).json.matches, [shown.json]);
    const again = await putGroup(stack, group.id, all, { title: 'Hikers ⛰️' });
    assert.deepEqual([again.status, again.json], [200, group.json]);
    for (const other of [all.slice(1), [...all, member('more')], [member(admin, 'owner'), member(mia), all[2]]]) {
      const answer = await putGroup(stack, group.id, other, { title: 'Hikers ⛰️' });
      assert.deepEqual(code(answer), [409, 'IDEMPOTENCY_CONFLICT']);
    }
    assert.deepEqual(code(await putGroup(stack, group.id, all)), [409, 'IDEMPOTENCY_CONFLICT'], 'another title');
    const pair = await call(stack, null, 'PUT', `/matches/${group.id}`, { members: [owner, admin] });
    assert.deepEqual(code(pair), [409, 'IDEMPOTENCY_CONFLICT']);
    const match = await newMatch(stack);
    const asGroup = await putGroup(stack, match.id, [member(match.alice, 'owner'), member(match.bob)]);
    assert.deepEqual(code(asGroup), [409, 'IDEMPOTENCY_CONFLICT']);
    assert.equal((await call(stack, match.alice, 'GET', `/matches/${match.id}`)).json.kind, undefined);
  });

  test('that cannot be is refused, and nothing is stored', async () => {
    const [a, b] = users('a', 'b');
    const id = `g-${randomUUID()}`;
    const crowd = (count) => [member('u0', 'owner'), ...upTo(count - 1).map((n) => member(`u${n}`))];
    for (const members of [
      [], [member(a, 'owner')], [member(a, 'owner'), member(a)], [member(a), member(b, 'admin')], [a, b], 'x', null, {},
      [member(a, 'owner'), member('b c')], [member(a, 'owner'), member(b, 'king')], [member(a, 'owner'), { userId: b }],
      [member(a, 'owner'), member(7)],
    ]) {
      assert.deepEqual(code(await putGroup(stack, id, members)), [400, 'INVALID_PAYLOAD'], JSON.stringify(members));
    }
    for (const title of ['', 'x'.repeat(101), 'a\u0000b', 7, {}]) {
      const answer = await putGroup(stack, id, [member(a, 'owner'), member(b)], { title });
      assert.deepEqual(code(answer), [400, 'INVALID_PAYLOAD'], JSON.stringify(title));
    }
    for (const count of [257, 1_001]) {
      assert.deepEqual(code(await putGroup(stack, id, crowd(count))), [409, 'GROUP_FULL']);
    }
    const unknown = await call(stack, null, 'PUT', `/matches/${id}`, { kind: 'crowd', members: [a, b] });
    assert.deepEqual(code(unknown), [400, 'INVALID_PAYLOAD']);
    const body = { kind: 'group', members: [member(a, 'owner'), member(b)] };
    const byUser = await call(stack, a, 'PUT', `/matches/${id}`, body);
    assert.deepEqual(code(byUser), [403, 'FORBIDDEN']);
    assert.deepEqual(code(await call(stack, a, 'GET', `/matches/${id}`)), [404, 'MATCH_NOT_FOUND']);
    assert.equal((await putGroup(stack, id, crowd(256))).status, 201);
  });

  test('tells who comes, who goes and who may what, and what follows to those who are in then', async () => {
    const [owner, mia, zoe] = users('o', 'm', 'z');
    const group = await newGroup(stack, { owner, members: [mia] });
    const [ows, mis] = await joined(stack, group, [owner, mia]);
    const zos = await connect(stack, zoe, { gateway: 1 });
    await done(ows, 'send_message', { matchId: group.id, message: 'before' });
    const body = { add: [member(zoe, 'admin')], remove: [mia], expectedRev: 0 };
    const answer = await patch(stack, null, group, body);
    const members = [member(owner, 'owner'), member(zoe, 'admin')].toSorted((a, b) => (a.userId < b.userId ? -1 : 1));
    assert.deepEqual([answer.status, answer.json], [200, { rev: 1, afterSeq: 1, members }]);
    const news = { matchId: group.id, rev: 1, afterSeq: 1, added: [zoe], removed: [mia] };
    const told = { ...news, roles: [member(zoe, 'admin')], by: null };
    for (const socket of [ows, zos]) await eventually(() => changed(socket).length, 'the news');
    assert.deepEqual([changed(ows), changed(zos), changed(mis)], [[told], [told], []]);
    await eventually(() => seen(mis, 'match_closed').length, 'the end');
    assert.deepEqual(seen(mis, 'match_closed'), [{ matchId: group.id, reason: 'removed' }]);
    await done(zos, 'join_chat', group.id);
    await done(zos, 'send_message', { matchId: group.id, message: 'after' });
    await eventually(() => seqs(ows).includes(2), 'the message');
    await pause(200);
    assert.deepEqual(seqs(mis), [1]);
    assert.equal((await refused(mis, 'join_chat', group.id)).code, 'MATCH_NOT_FOUND');

    const again = await patch(stack, null, group, body);
    assert.deepEqual(again.json, answer.json, 'a repeat, whatever it expects');
    const late = await patch(stack, null, group, { remove: [zoe], expectedRev: 0 });
    assert.deepEqual(code(late), [409, 'REV_CONFLICT']);
    const raised = await patch(stack, owner, group, { roles: [member(zoe, 'owner')], expectedRev: 1 });
    assert.equal(raised.json.rev, 2);
    await eventually(() => changed(zos).length === 2, 'the role');
    const { added, removed, roles, by } = changed(zos)[1];
    assert.deepEqual([added, removed, roles, by], [[], [], [member(zoe, 'owner')], owner]);
    const { json } = await call(stack, zoe, 'GET', `/matches/${group.id}/messages`);
    const places = json.notes.map(({ rev, kind, afterSeq }) => [rev, kind, afterSeq]);
    assert.deepEqual(places, [[1, 'membership', 1], [2, 'membership', 2]]);
    const note = { ...told, kind: 'membership', createdAt: json.notes[0].createdAt };
    assert.deepEqual(json.notes[0], note);
    const page = await call(stack, owner, 'GET', `/matches/${group.id}/messages?before=2`);
    assert.deepEqual(page.json.notes.map(({ rev }) => rev), [1]);
    const join = await done(ows, 'join_chat', { matchId: group.id, sinceSeq: 1 });
    assert.deepEqual(join.notes.map(({ rev }) => rev), [2]);
  });

  test('is changed by owners and admins alone, and admins do nothing to owners', async () => {
    const [owner, amy, abe, mia, friend, stranger] = users('o', 'a', 'b', 'm', 'f', 's');
    const group = await newGroup(stack, { owner, admins: [amy, abe], members: [mia] });
    await acquaint(stack, amy, [friend]);
    const by = async (user, body) => code(await patch(stack, user, group, body));
    const forbidden = [403, 'FORBIDDEN'];
    assert.deepEqual(await by(mia, { remove: [abe] }), forbidden);
    assert.deepEqual(await by(stranger, { remove: [mia] }), [404, 'MATCH_NOT_FOUND']);
    assert.deepEqual(code(await patch(stack, stranger, { id: 'none' }, { remove: [mia] })), [404, 'MATCH_NOT_FOUND']);
    for (const body of [
      { remove: [owner] }, { roles: [member(owner)] }, { roles: [member(mia, 'owner')] },
      { add: [member(friend, 'owner')] }, { add: [member(stranger)] },
    ]) {
      assert.deepEqual(await by(amy, body), forbidden, JSON.stringify(body));
    }
    assert.deepEqual(await by(amy, { add: [member(friend)], remove: [abe] }), [200, undefined]);
    assert.deepEqual(await by(owner, { roles: [member(owner)] }), [400, 'INVALID_PAYLOAD'], 'the last owner stays one');
    assert.deepEqual(await by(owner, { roles: [member(stranger, 'admin')] }), [400, 'INVALID_PAYLOAD']);
    for (const body of [{ add: [friend] }, { add: [member(friend, 'king')] }, { remove: [7] }, { expectedRev: 'x' }]) {
      assert.deepEqual(await by(owner, body), [400, 'INVALID_PAYLOAD'], JSON.stringify(body));
    }
    assert.deepEqual(await by(owner, { remove: [stranger] }), [200, undefined], 'who is not there');
    const match = await newMatch(stack);
    assert.deepEqual(code(await patch(stack, match.alice, match, { remove: [match.bob] })), forbidden);
    assert.deepEqual(code(await patch(stack, null, match, { add: [member(mia)] })), [409, 'IDEMPOTENCY_CONFLICT']);
    assert.deepEqual(code(await leave(stack, match.alice, match)), forbidden);
  });

  test('takes from its members only whom they know, twenty a day, and nobody past a block', async () => {
    const [owner, mia, foe, ...friends] = users('o', 'm', 'x', ...upTo(21).map((n) => `f${n}`));
    const group = await newGroup(stack, { owner, members: [mia] });
    const pairs = await acquaint(stack, owner, [foe, ...friends]);
    const add = async (...names) => code(await patch(stack, owner, group, { add: names.map((name) => member(name)) }));
    assert.equal((await call(stack, mia, 'PUT', `/users/me/blocks/${foe}`)).status, 204);
    assert.deepEqual(await add(foe), [403, 'FORBIDDEN'], 'a member has blocked them');
    assert.equal((await call(stack, mia, 'DELETE', `/users/me/blocks/${foe}`)).status, 204);
    await call(stack, foe, 'PUT', `/users/me/blocks/${friends[0]}`);
    assert.deepEqual(await add(foe, friends[0]), [403, 'FORBIDDEN'], 'one who comes along');
    await call(stack, null, 'DELETE', `/matches/${pairs[1].id}`);
    assert.deepEqual(await add(friends[0]), [403, 'FORBIDDEN'], 'their pair is closed');
    assert.deepEqual(await add(...friends.slice(1, 20)), [200, undefined]);
    assert.deepEqual(await add(...friends.slice(1, 21)), [200, undefined], 'only who is new counts');
    const refusal = await patch(stack, owner, group, { add: [member(foe)] });
    assert.deepEqual(code(refusal), [429, 'RATE_LIMITED']);
    assert.ok(refusal.json.retryAfterMs > 0);
    const byServer = await patch(stack, null, group, { add: [member(foe)] });
    assert.equal(byServer.status, 200, 'the app server adds whom it will');
  });

  test('is left by its members: an owner is followed by the next, and nobody is left at the end', async () => {
    const [owner, amy, mia] = users('o', 'a', 'm');
    const group = await newGroup(stack, { owner, admins: [amy], members: [mia] });
    const [, ams, mis] = await joined(stack, group, [owner, amy, mia]);
    assert.deepEqual(code(await leave(stack, 'nobody', group)), [404, 'MATCH_NOT_FOUND']);
    assert.equal((await leave(stack, owner, group)).status, 204);
    await eventually(() => changed(mis).length, 'the news');
    const { removed, roles, by } = changed(mis)[0];
    assert.deepEqual([removed, roles, by], [[owner], [member(amy, 'owner')], owner]);
    assert.equal((await leave(stack, owner, group)).status, 204, 'a repeat');
    assert.deepEqual(code(await call(stack, owner, 'GET', `/matches/${group.id}`)), [404, 'MATCH_NOT_FOUND']);
    assert.equal((await leave(stack, amy, group)).status, 204);
    await eventually(() => changed(mis).length === 2, 'the next owner');
    assert.deepEqual(changed(mis)[1].roles, [member(mia, 'owner')]);
    assert.equal((await leave(stack, mia, group)).status, 204);
    await eventually(() => seen(mis, 'match_closed').length, 'the end');
    const members = [member(owner, 'owner'), member(amy, 'admin'), member(mia)];
    assert.deepEqual(code(await putGroup(stack, group.id, members)), [409, 'IDEMPOTENCY_CONFLICT'], 'it is closed');
    await eventually(() => seen(ams, 'match_closed').length, 'the end');
  });

  test('takes ten of fifty who are added at once into its last ten places', async () => {
    const [owner, ...names] = users('o', ...upTo(50).map((n) => `n${n}`));
    const group = await newGroup(stack, { owner, members: upTo(245).map((n) => `u${n}-${owner}`) });
    const answers = await Promise.all(names.map((name) => patch(stack, null, group, { add: [member(name)] })));
    assert.equal(answers.filter(({ status }) => status === 200).length, 10);
    const rest = answers.filter(({ status }) => status !== 200);
    assert.ok(rest.every((answer) => code(answer).join() === '409,GROUP_FULL'), JSON.stringify(rest[0].json));
    const { json } = await call(stack, owner, 'GET', `/matches/${group.id}`);
    assert.equal(json.members.length, 256);
  });

  test('has no calls, and shows three who type at a time', async () => {
    const names = users('a', 'b', 'c', 'd', 'e');
    const group = await newGroup(stack, { owner: names[0], members: names.slice(1) });
    const sockets = await joined(stack, group, names);
    assert.equal((await refused(sockets[0], 'video_call_request', { matchId: group.id })).code, 'CALL_STATE_CONFLICT');
    const typing = (i, isTyping) => done(sockets[i], 'typing', { matchId: group.id, isTyping });
    for (const i of [1, 2, 3]) {
      const shown = next(sockets[0], 'user_typing', ({ userId }) => userId === names[i]);
      await typing(i, true);
      await shown;
    }
    // Who types is not shown oneself, so there is room for the fourth.
    const toAnother = next(sockets[1], 'user_typing', ({ userId }) => userId === names[4]);
    await typing(4, true);
    await toAnother;
    await pause(200);
    const stopped = next(sockets[0], 'user_typing', ({ userId, isTyping }) => userId === names[1] && !isTyping);
    await typing(1, false);
    await stopped;
    const names0 = seen(sockets[0], 'user_typing').filter(({ isTyping }) => isTyping).map(({ userId }) => userId);
    assert.deepEqual(names0, names.slice(1, 4));
    const two = await newGroup(stack, { owner: names[0], members: [names[1]] });
    assert.equal((await refused(sockets[0], 'video_call_request', { matchId: two.id })).code, 'CALL_STATE_CONFLICT');
    assert.equal((await call(stack, names[0], 'PUT', `/users/me/blocks/${names[1]}`)).status, 204);
    const { json } = await call(stack, names[0], 'GET', `/matches/${two.id}`);
    assert.equal(json.closed, false, 'a block closes pairs alone');
  });
});

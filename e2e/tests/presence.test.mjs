// Who is online: told to who watches and may see it, across gateways, without storms; and what is shared of typing.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, describe, test } from 'node:test';
import { changeMembers } from './support/grpc.mjs';
import { cuttable, listen } from './support/nats.mjs';
import { startGateway } from './support/own_gateway.mjs';
import { useStack } from './support/stack.mjs';
import {
  comeBack,
  connect,
  connected,
  done,
  eventually,
  joinedPair,
  newMatch,
  next,
  pair,
  pause,
  refused,
  rest,
  seen,
  serviceToken,
  upTo,
  userToken,
  within,
} from './support/people.mjs';

const GRACE_MS = 1_000;
const NOW = { online: true, lastSeen: 'now' };
const TODAY = { online: false, lastSeen: 'today' };
const EARLIER = { online: false, lastSeen: 'earlier' };

const changes = (socket, match) => seen(socket, 'presence_changed').filter(({ matchId }) => matchId === match.id);
const states = (socket, match) => changes(socket, match).map(({ online }) => online);
const join = async (socket, match) => (await done(socket, 'join_chat', match.id)).presence;
const watch = async (socket, ...ids) => (await done(socket, 'watch_presence', { matchIds: ids })).presence;
const call = (stack, user, method, path, body) =>
  rest(stack, method, path, { token: user ? userToken(stack, user) : serviceToken(stack), body });
const share = async (stack, user, settings) => {
  const answer = await call(stack, user, 'PUT', '/users/me/settings', settings);
  assert.equal(answer.status, 200, answer.text);
  return answer.json;
};
const hears = (socket, match, online) => eventually(() => states(socket, match).at(-1) === online, `online: ${online}`);
/** So long that whoever is gone counts as gone. */
const aWhile = (grace = GRACE_MS) => pause(2.5 * grace + 500);

describe('who is online', { concurrency: 4 }, () => {
  const stack = useStack({ env: { PRESENCE_GRACE_MS: GRACE_MS } });

  test('is told across gateways when somebody comes, and a while after the last socket has gone', async () => {
    const match = await newMatch(stack);
    const alice = await connect(stack, match.alice, { gateway: 0 });
    assert.deepEqual(await join(alice, match), EARLIER);
    const phone = await connect(stack, match.bob, { gateway: 1 });
    await hears(alice, match, true);
    assert.deepEqual(changes(alice, match), [{ matchId: match.id, userId: match.bob, ...NOW }]);
    assert.deepEqual(await join(phone, match), NOW);
    const laptop = await connect(stack, match.bob, { gateway: 0 });
    phone.disconnect();
    await aWhile();
    assert.deepEqual(states(alice, match), [true], 'another device is there');
    const left = Date.now();
    laptop.disconnect();
    await hears(alice, match, false);
    assert.ok(Date.now() - left >= GRACE_MS);
    assert.deepEqual(changes(alice, match).at(-1), { matchId: match.id, userId: match.bob, ...TODAY });
    assert.deepEqual(await join(alice, match), TODAY);
  });

  test('is told to who watches a list, and only of what is in the last one', async () => {
    const [first, second] = [await newMatch(stack), await newMatch(stack)];
    const [alice, bob] = [await connect(stack, first.alice), await connect(stack, first.bob, { gateway: 1 })];
    const third = await newMatch(stack, [first.alice, second.bob]);
    assert.deepEqual(await watch(alice, first.id, third.id), { [first.id]: NOW, [third.id]: EARLIER });
    assert.deepEqual(await watch(alice, third.id), { [third.id]: EARLIER });
    await connect(stack, second.bob, { gateway: 1 });
    await hears(alice, third, true);
    bob.disconnect();
    await aWhile();
    assert.deepEqual(changes(alice, first), []);
    assert.deepEqual(await watch(alice), {});
  });

  test('is not told of a reconnect, nor of a step into the background and back', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const joinedAt = changes(alice, match).length;
    await done(bob, 'send_message', { matchId: match.id, message: 'a cursor' });
    await comeBack(stack, bob, { gateway: 0 });
    await done(bob, 'set_app_state', { state: 'background' });
    await done(bob, 'set_app_state', { state: 'active' });
    await comeBack(stack, bob, { gateway: 1 });
    await aWhile();
    assert.equal(changes(alice, match).length, joinedAt);
    await done(bob, 'set_app_state', { state: 'background' });
    await hears(alice, match, false);
    assert.deepEqual(await join(alice, match), TODAY);
    await done(bob, 'set_app_state', { state: 'active' });
    await hears(alice, match, true);
  });

  test('is told once after a recovery', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    await done(bob, 'send_message', { matchId: match.id, message: 'a cursor' });
    await eventually(() => seen(alice, 'receive_message').length === 1, 'the message');
    const before = changes(alice, match).length;
    await comeBack(stack, alice);
    assert.ok(alice.recovered);
    await eventually(() => changes(alice, match).length > before, 'the presence');
    await pause(500);
    assert.deepEqual(changes(alice, match).slice(before), [{ matchId: match.id, userId: match.bob, ...NOW }]);
  });

  test('costs one publish, however many watch', async () => {
    const bob = `b-${randomUUID()}`;
    const matches = await Promise.all(upTo(40).map((n) => newMatch(stack, [`w${n}-${randomUUID()}`, bob])));
    const watchers = await Promise.all(
      matches.map(({ alice }, n) => connect(stack, alice, { gateway: n % 2 })),
    );
    await Promise.all(watchers.map((socket, n) => join(socket, matches[n])));
    const { heard, close } = await listen(stack.manifest.natsUrl, `presence.${bob}`);
    after(close);
    const socket = await connect(stack, bob);
    await Promise.all(watchers.map((watcher, n) => hears(watcher, matches[n], true)));
    assert.equal(heard.length, 1);
    socket.disconnect();
    await Promise.all(watchers.map((watcher, n) => hears(watcher, matches[n], false)));
    assert.equal(heard.length, 2);
  });

  test('is null alike for a stranger, an absent match, who is private or blocked, and a closed match', async () => {
    const user = `a-${randomUUID()}`;
    const others = upTo(6).map((n) => `o${n}-${randomUUID()}`);
    const matches = await Promise.all(others.map((other) => newMatch(stack, [user, other])));
    await Promise.all(others.map((other, n) => connect(stack, other, { gateway: n % 2 })));
    const [shown, hidden, blocked, blocking, closed] = matches;
    await share(stack, hidden.bob, { presence: 'private' });
    await call(stack, user, 'PUT', `/users/me/blocks/${blocked.bob}`);
    await call(stack, blocking.bob, 'PUT', `/users/me/blocks/${user}`);
    await call(stack, null, 'DELETE', `/matches/${closed.id}`);
    const foreign = await newMatch(stack);
    const alice = await connect(stack, user);
    const ids = [shown, hidden, blocked, blocking, closed, foreign].map(({ id }) => id);
    const presence = await watch(alice, ...ids, 'absent');
    assert.deepEqual(presence[shown.id], NOW);
    for (const id of [...ids.slice(1), 'absent']) assert.equal(presence[id], null, id);
    assert.equal(await join(alice, hidden), null);
    await share(stack, user, { presence: 'private' });
    assert.deepEqual(await watch(alice, shown.id, 'absent'), { [shown.id]: null, absent: null }, 'it is mutual');
  });

  test('ends at once for watchers of who goes private, and tells them no more than that one has gone', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const list = await connect(stack, match.alice, { gateway: 1 });
    assert.deepEqual(await watch(list, match.id), { [match.id]: NOW });
    await share(stack, match.bob, { presence: 'private' });
    for (const socket of [alice, list]) {
      await hears(socket, match, false);
      assert.deepEqual(changes(socket, match).at(-1), { matchId: match.id, userId: match.bob, ...TODAY });
    }
    const [told, own] = [states(alice, match), states(bob, match)];
    bob.disconnect();
    const back = await connect(stack, match.bob, { gateway: 0 });
    await aWhile();
    assert.deepEqual([states(alice, match), states(bob, match)], [told, own], 'nothing more');
    assert.equal(await join(back, match), null);
    await share(stack, match.bob, { presence: 'shared' });
    for (const socket of [alice, list, back]) await hears(socket, match, true);
  });

  test('ends with a block and with the match, and nothing tells one from the other', async () => {
    for (const end of [
      (match) => call(stack, match.bob, 'PUT', `/users/me/blocks/${match.alice}`),
      (match) => call(stack, null, 'DELETE', `/matches/${match.id}`),
    ]) {
      const { match, alice, bob } = await joinedPair(stack);
      const list = await connect(stack, match.alice, { gateway: 1 });
      assert.deepEqual(await watch(list, match.id), { [match.id]: NOW });
      const before = list.received.length;
      await end(match);
      for (const socket of [alice, list]) await eventually(() => seen(socket, 'match_closed').length, 'the end');
      bob.disconnect();
      await aWhile();
      assert.deepEqual(list.received.slice(before).map(([event]) => event), ['match_closed']);
      assert.deepEqual(await watch(alice, match.id), { [match.id]: null });
    }
  });

  test('what cannot be taken is refused, and the connection lives', async () => {
    const { match, alice } = await pair(stack);
    for (const [event, payload] of [
      ['watch_presence', undefined],
      ['watch_presence', match.id],
      ['watch_presence', [match.id]],
      ['watch_presence', {}],
      ['watch_presence', { matchIds: match.id }],
      ['watch_presence', { matchIds: [1] }],
      ['watch_presence', { matchIds: [match.id, 'not an id'] }],
      ['watch_presence', { matchIds: Array(51).fill(match.id) }],
      ['set_app_state', undefined],
      ['set_app_state', 'active'],
      ['set_app_state', {}],
      ['set_app_state', { state: 'asleep' }],
      ['set_app_state', { state: true }],
    ]) {
      const { code } = await refused(alice, event, payload);
      assert.equal(code, 'INVALID_PAYLOAD', `${event} ${JSON.stringify(payload)}`);
    }
    assert.deepEqual(await watch(alice, ...Array(50).fill(match.id)), { [match.id]: NOW });
    alice.emit('watch_presence', 7);
    alice.emit('set_app_state', 7);
    assert.deepEqual(await done(alice, 'set_app_state', { state: 'active' }), { ok: true });
    assert.ok(alice.connected);
  });

  test('many sets at once count as events, and the last one is watched', async () => {
    const { match, alice, bob } = await pair(stack);
    const acks = upTo(300).map((n) => {
      const matchIds = n === 300 ? [match.id] : [];
      return alice.timeout(15_000).emitWithAck('watch_presence', { matchIds });
    });
    const codes = new Set((await Promise.all(acks)).filter(({ ok }) => !ok).map(({ error }) => error.code));
    assert.deepEqual([...codes], ['RATE_LIMITED']);
    await eventually(async () => (await alice.emitWithAck('watch_presence', { matchIds: [match.id] })).ok, 'a set');
    bob.disconnect();
    await hears(alice, match, false);
  });

  test('the app server may have the say', async () => {
    const match = await newMatch(stack);
    const all = { receipts: 'shared', typing: 'shared', presence: 'shared', locked: false };
    assert.deepEqual((await call(stack, match.bob, 'GET', '/users/me/settings')).json, all);
    const path = `/users/${match.bob}/settings`;
    const locked = { ...all, presence: 'private', typing: 'private', locked: true };
    const { presence, typing } = locked;
    assert.deepEqual((await call(stack, null, 'PUT', path, { presence, typing, locked: true })).json, locked);
    for (const setting of ['presence', 'typing']) {
      const refusal = await call(stack, match.bob, 'PUT', '/users/me/settings', { [setting]: 'shared' });
      assert.deepEqual([refusal.status, refusal.json.code], [403, 'FORBIDDEN']);
      const bad = await call(stack, null, 'PUT', path, { [setting]: 'public' });
      assert.deepEqual([bad.status, bad.json.code], [400, 'INVALID_PAYLOAD']);
    }
    assert.deepEqual((await call(stack, match.bob, 'GET', '/users/me/settings')).json, locked);
  });
});

describe('typing that is not shared', () => {
  const stack = useStack({ env: { PRESENCE_GRACE_MS: GRACE_MS } });

  test('is neither shown nor seen, from the next word on', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const typing = (socket, isTyping) => done(socket, 'typing', { matchId: match.id, isTyping });
    const shown = (socket) => seen(socket, 'user_typing').map(({ isTyping }) => isTyping);
    await typing(bob, true);
    await eventually(() => shown(alice).at(-1) === true, 'that Bob types');
    await share(stack, match.bob, { typing: 'private' });
    await eventually(() => shown(alice).at(-1) === false, 'that he has stopped');
    for (const socket of [alice, bob]) await typing(socket, true);
    await done(alice, 'send_message', { matchId: match.id, message: 'behind it' });
    await eventually(() => seen(bob, 'receive_message').length === 1, 'the message');
    assert.deepEqual([shown(alice), shown(bob)], [[true, false], []]);
    await comeBack(stack, bob, { gateway: 0 });
    await typing(bob, true);
    await done(bob, 'send_message', { matchId: match.id, message: 'behind it' });
    await eventually(() => seen(alice, 'receive_message').length === 1, 'the message');
    assert.deepEqual(shown(alice), [true, false], 'also after a recovery');
    await share(stack, match.bob, { typing: 'shared' });
    await eventually(async () => {
      await bob.emitWithAck('typing', { matchId: match.id, isTyping: true });
      return shown(alice).at(-1) === true;
    }, 'that Bob types again');
  });

  test('nor is it between two of a group of whom one has blocked the other, until that is taken back', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const carol = await connect(stack, `c-${randomUUID()}`, { gateway: 1 });
    await changeMembers(stack, match, { add: [carol.user] });
    for (const socket of [alice, bob, carol]) assert.equal(await join(socket, match), null, 'a group shows none');
    const path = `/users/me/blocks/${match.bob}`;
    assert.equal((await call(stack, match.alice, 'PUT', path)).status, 204);
    const typists = (socket) => new Set(seen(socket, 'user_typing').map(({ userId }) => userId));
    const type = (socket) => socket.emitWithAck('typing', { matchId: match.id, isTyping: true });
    // The gateways hear of a block within a moment.
    await pause(500);
    await Promise.all([alice, bob].map(type));
    await eventually(() => typists(carol).size === 2, 'that both type');
    await done(carol, 'send_message', { matchId: match.id, message: 'behind it' });
    await Promise.all([alice, bob].map((one) => eventually(() => seen(one, 'receive_message').length, 'the message')));
    assert.deepEqual([typists(alice), typists(bob)], [new Set(), new Set()]);
    await comeBack(stack, bob, { gateway: 0 });
    await Promise.all([alice, bob].map(type));
    await done(alice, 'send_message', { matchId: match.id, message: 'behind it' });
    await eventually(() => seen(bob, 'receive_message').length === 2, 'the message');
    const ofAlice = seen(bob, 'user_typing').filter(({ userId, isTyping }) => userId === match.alice && isTyping);
    assert.deepEqual(ofAlice, []);
    assert.equal((await call(stack, match.alice, 'DELETE', path)).status, 204);
    await eventually(async () => {
      await type(bob);
      return typists(alice).has(match.bob);
    }, 'that Bob types again');
  });
});

describe('when gateways die', () => {
  const GRACE = 8_000;
  const stack = useStack({ env: { PRESENCE_GRACE_MS: GRACE } });

  test('nobody hears of users who come back in time, and of the others a while after', async () => {
    const PEOPLE = 200;
    const watcher = `w-${randomUUID()}`;
    const matches = await Promise.all(upTo(PEOPLE).map((n) => newMatch(stack, [watcher, `p${n}-${randomUUID()}`])));
    const there = { gateway: 1, reconnection: false };
    const people = await Promise.all(matches.map(({ bob }) => connect(stack, bob, there)));
    const watchers = await Promise.all(upTo(PEOPLE / 50).map(() => connect(stack, watcher)));
    const ids = matches.map(({ id }) => id);
    for (const [n, socket] of watchers.entries()) {
      const shown = await watch(socket, ...ids.slice(50 * n, 50 * (n + 1)));
      assert.ok(Object.values(shown).every((presence) => presence?.online), JSON.stringify(shown));
    }
    await stack.control('kill', 'gateway-1');
    const [gone, ...back] = people;
    await Promise.all(
      back.map(async (socket) => {
        if (socket.connected) await within(new Promise((resolve) => socket.once('disconnect', resolve)), 'disconnect');
        socket.io.uri = stack.url(0);
        socket.connect();
        await connected(socket);
      }),
    );
    const heard = () => watchers.flatMap((socket) => seen(socket, 'presence_changed'));
    await eventually(() => heard().length > 0, 'that one has gone', 5 * GRACE);
    await pause(2 * GRACE);
    assert.deepEqual(heard(), [{ matchId: matches[0].id, userId: gone.user, ...TODAY }]);
    await stack.control('start', 'gateway-1');
  });

  test('a gateway that is drained makes no event of who goes to another one', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const before = changes(alice, match).length;
    bob.io.uri = stack.url(0);
    await stack.control('stop', 'gateway-1');
    await connected(bob);
    await aWhile(GRACE);
    assert.equal(changes(alice, match).length, before);
    await stack.control('start', 'gateway-1');
  });

  test('one that is cut off from NATS says nothing, and hears again afterwards', async () => {
    const way = await cuttable(stack.manifest.natsUrl);
    after(() => way.close());
    const grace = 1_000;
    const own = await startGateway(stack, { NATS_URL: way.url, PRESENCE_GRACE_MS: grace });
    const match = await newMatch(stack);
    const bob = await connect(stack, match.bob);
    const alice = await connect(stack, match.alice, { url: own.url });
    assert.deepEqual(await join(alice, match), NOW);
    way.cut();
    await aWhile(2 * grace);
    assert.deepEqual(changes(alice, match), []);
    way.mend();
    await eventually(async () => (await fetch(`${own.health}/readyz`)).status === 200, 'that it is back');
    await aWhile(grace);
    assert.deepEqual(changes(alice, match), [], 'nor when it is back');
    const told = next(alice, 'presence_changed', () => true, 5 * GRACE);
    bob.disconnect();
    assert.equal((await told).online, false);
  });
});

// Milestones: announced to every device of both, once, whatever dies or is lost on the way.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { useStack } from './support/stack.mjs';
import {
  LIMIT_MS,
  connect,
  done,
  eventually,
  joinedPair,
  newMatch,
  next,
  pair,
  refused,
  rest,
  seen,
  sendReliably,
  upTo,
  userToken,
} from './support/people.mjs';
import { redis, sql } from './support/raw.mjs';

const MILESTONE_SERVICES = ['milestone-service-0', 'milestone-service-1'];

const reached = (socket, match) => seen(socket, 'milestone_reached').filter(({ matchId }) => matchId === match.id);
const thresholds = (socket, match) => reached(socket, match).map(({ milestone }) => milestone);

describe('the built-in milestone', () => {
  const stack = useStack({ replicas: 1, env: { LIMIT_SENDS: '1000/1000' } });

  test('message 100 is announced to every device of both, joined or not, and unlocks calls', async () => {
    const match = await newMatch(stack);
    const devices = await Promise.all(
      [match.alice, match.alice, match.bob, match.bob].map((user, i) => connect(stack, user, { gateway: i % 2 })),
    );
    const [alice, , bob] = devices;
    await Promise.all([alice, bob].map((socket) => done(socket, 'join_chat', match.id)));
    for (const half of [1, 2]) {
      await Promise.all(
        upTo(49).map((i) => done([alice, bob][half - 1], 'send_message', { matchId: match.id, message: `m${i}` })),
      );
    }
    assert.equal((await refused(alice, 'video_call_request', { matchId: match.id })).remaining, 2);
    const announced = devices.map((socket) => next(socket, 'milestone_reached'));
    // Messages 99 to 102, from both sides at once.
    await Promise.all(
      [alice, bob, alice, bob].map((socket) =>
        done(socket, 'send_message', { matchId: match.id, message: 'close to it' }),
      ),
    );
    const [first, ...others] = await Promise.all(announced);
    assert.match(first.reachedAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.deepEqual(first, {
      matchId: match.id,
      milestoneId: 'messages-100',
      milestone: 100,
      milestoneReached: true,
      messageCount: 100,
      unlocks: ['video_call'],
      reachedAt: first.reachedAt,
    });
    for (const other of others) assert.deepEqual(other, first);

    const { matchId, milestoneReached, ...entry } = first;
    const joined = await done(devices[1], 'join_chat', match.id);
    assert.deepEqual([joined.milestones, joined.unlocked], [[entry], ['video_call']]);
    const { json } = await rest(stack, 'GET', `/matches/${match.id}/milestones`, {
      token: userToken(stack, match.bob),
    });
    assert.deepEqual(json, { messageCount: 102, milestones: [entry], unlocked: ['video_call'] });
    const ringing = devices.slice(2).map((socket) => next(socket, 'video_call_incoming'));
    await done(alice, 'video_call_request', { matchId: match.id });
    await Promise.all(ringing);
    for (const socket of devices) assert.deepEqual(thresholds(socket, match), [100]);
  });
});

describe('milestones of a file', () => {
  const stack = useStack({
    milestones: [
      { id: 'photos', messages: 3, unlocks: ['photos'] },
      { id: 'calls', messages: 5, unlocks: ['video_call', 'photos'] },
    ],
  });

  const send = (socket, match) => done(socket, 'send_message', { matchId: match.id, message: 'x' });

  /** Sends up to message 5, and checks that both milestones were announced once to each. */
  async function reachTheLast(match, sockets) {
    const announced = sockets.map((socket) =>
      next(socket, 'milestone_reached', ({ milestoneId }) => milestoneId === 'calls'),
    );
    for (let seq = 0; seq < 5;) ({ seq } = await sendReliably(sockets[0], match.id, 'x'));
    await Promise.all(announced);
    for (const socket of sockets) assert.deepEqual(thresholds(socket, match), [3, 5]);
  }

  test('are announced one after the other', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const progress = async () =>
      (await rest(stack, 'GET', `/matches/${match.id}/milestones`, { token: userToken(stack, match.alice) })).json;
    assert.deepEqual((await progress()).next, { milestoneId: 'photos', milestone: 3, remaining: 3 });
    const first = next(bob, 'milestone_reached');
    for (let i = 0; i < 3; i += 1) await send(alice, match);
    assert.deepEqual((await first).unlocks, ['photos']);
    assert.deepEqual((await progress()).next, { milestoneId: 'calls', milestone: 5, remaining: 2 });
    await reachTheLast(match, [alice, bob]);
    const last = await progress();
    assert.deepEqual(
      last.milestones.map(({ milestoneId }) => milestoneId),
      ['photos', 'calls'],
    );
    assert.deepEqual([last.unlocked, last.next], [['photos', 'video_call'], undefined]);
  });

  test('are announced once each when all messages are sent at the same time by both', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const announced = [alice, bob].map((socket) =>
      eventually(() => reached(socket, match).length === 2, 'both milestones'),
    );
    await Promise.all([alice, bob, alice, bob, alice, bob].map((socket) => send(socket, match)));
    await Promise.all(announced);
    for (const socket of [alice, bob]) assert.deepEqual(thresholds(socket, match), [3, 5]);
  });

  test('are learned from the join by a device that comes later', async () => {
    const { match, alice, bob } = await pair(stack);
    const announced = next(bob, 'milestone_reached');
    for (let i = 0; i < 3; i += 1) await send(alice, match);
    await announced;
    const later = await connect(stack, match.bob, { gateway: 0 });
    const joined = await done(later, 'join_chat', match.id);
    assert.deepEqual([joined.milestones.map(({ milestone }) => milestone), joined.unlocked], [[3], ['photos']]);
    await send(alice, match);
    await eventually(() => seen(later, 'receive_message').length === 1, 'the next message');
    assert.deepEqual(reached(later, match), []);
  });

  test('survive that Redis is wiped before and after', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    await send(alice, match);
    await send(bob, match);
    assert.equal(await redis(stack, 'FLUSHALL'), '+OK');
    const announced = [alice, bob].map((socket) => next(socket, 'milestone_reached'));
    await send(alice, match);
    await Promise.all(announced);
    assert.equal(await redis(stack, 'FLUSHALL'), '+OK');
    await send(bob, match);
    assert.deepEqual((await done(bob, 'join_chat', match.id)).unlocked, ['photos']);
    await reachTheLast(match, [alice, bob]);
  });

  test('are announced once after the counting services were away', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    await send(alice, match);
    for (const name of MILESTONE_SERVICES) await stack.control('kill', name);
    for (let i = 0; i < 3; i += 1) await send(bob, match);
    assert.deepEqual([...reached(alice, match), ...reached(bob, match)], []);
    const announced = [alice, bob].map((socket) => next(socket, 'milestone_reached'));
    for (const name of MILESTONE_SERVICES) await stack.control('start', name);
    await Promise.all(announced);
    await reachTheLast(match, [alice, bob]);
  });

  test('are announced by somebody else when who recorded one died before telling', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const tablet = await connect(stack, match.alice, { gateway: 1 });
    for (let i = 0; i < 2; i += 1) await send(alice, match);
    const announced = [alice, bob, tablet].map((socket) => next(socket, 'milestone_reached'));
    // What such a crash leaves behind.
    await sql(stack, `WITH moved AS (UPDATE matches SET rev = 1 WHERE match_id = '${match.id}'),
      changed AS (INSERT INTO changes (match_id, rev, kind, seq, after_seq, body, created_at)
        VALUES ('${match.id}', 1, 'milestone', 3, 2, '{"milestoneId":"photos","unlocks":["photos"]}', now()))
      INSERT INTO milestones (match_id, milestone_id, rev, seq, unlocks, reached_at, after_seq)
        VALUES ('${match.id}', 'photos', 1, 3, '{photos}', now(), 2)`);
    await Promise.all(announced);
    await reachTheLast(match, [alice, bob, tablet]);
  });

  test('are announced once when all of NATS and Redis was lost between the commit and the count', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    await send(alice, match);
    for (const name of MILESTONE_SERVICES) await stack.control('kill', name);
    for (let i = 0; i < 2; i += 1) await send(bob, match);
    await stack.control('kill', 'nats');
    rmSync(join(stack.dir, 'nats'), { recursive: true, force: true });
    await redis(stack, 'FLUSHALL');
    // chat-service looks every 10 s whether the stream is still the same.
    const announced = [alice, bob].map((socket) => next(socket, 'milestone_reached', undefined, 3 * LIMIT_MS));
    await stack.control('start', 'nats');
    for (const name of MILESTONE_SERVICES) await stack.control('start', name);
    await Promise.all(announced);
    await reachTheLast(match, [alice, bob]);
  });
});

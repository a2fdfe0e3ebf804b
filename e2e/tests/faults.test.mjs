// What breaks is answered with a code, heals by itself, and costs no message that was acked.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { useStack } from './support/stack.mjs';
import {
  ask,
  connect,
  connected,
  done,
  eventually,
  history,
  joinedPair,
  newMatch,
  next,
  refused,
  rest,
  seen,
  sendReliably,
  socketOf,
  upTo,
  userToken,
  within,
} from './support/people.mjs';
import { sql } from './support/raw.mjs';

/** No send waits for Redis, which the services do for 1 s. */
const WITHOUT_REDIS_LIMIT_MS = 1_000;
/** A send may be repeated for 5 s before its outcome is called unknown. */
const ANSWER_LIMIT_MS = 8_000;
const HEAL_LIMIT_MS = 30_000;

const replicas = (service) => [`${service}-0`, `${service}-1`];
const clientOptions = { reconnectionDelay: 50, reconnectionDelayMax: 200 };

describe('the system', () => {
  const stack = useStack({
    milestones: [{ id: 'first', messages: 1, unlocks: ['video_call'] }],
    env: { LIMIT_SENDS: '1000/1000' },
  });

  const pids = () => stack.services.map((name) => stack.member(name).pid);
  const everybodyIsReady = () =>
    eventually(
      async () => (await Promise.all(stack.services.map((name) => stack.isReady(name)))).every(Boolean),
      'everybody is ready',
      HEAL_LIMIT_MS,
    );

  /** Kills members, does something, and starts them again: all heals without a restart of the others. */
  async function without(names, action) {
    for (const name of names) await stack.control('kill', name);
    const before = pids();
    let result;
    try {
      result = await action();
    } finally {
      for (const name of names) await stack.control('start', name);
      await everybodyIsReady();
    }
    if (!names.some((name) => stack.member(name).health)) assert.deepEqual(pids(), before, 'nobody was restarted');
    return result;
  }

  const notReady = (...names) =>
    eventually(
      async () => (await Promise.all(names.map((name) => stack.isReady(name)))).every((ready) => !ready),
      `${names} are not ready`,
    );

  async function assertUnavailable(socket, event, payload) {
    const began = Date.now();
    const error = await refused(socket, event, payload);
    assert.deepEqual([error.code, error.retryable], ['UNAVAILABLE', true], event);
    assert.ok(Date.now() - began < ANSWER_LIMIT_MS, `${event} was answered after ${Date.now() - began} ms`);
  }

  async function assertRestUnavailable(method, path, user, body) {
    const answer = await rest(stack, method, path, { token: userToken(stack, user), body });
    assert.deepEqual([answer.status, answer.json.code, answer.json.retryable], [503, 'UNAVAILABLE', true], path);
  }

  const send = (socket, match, message) =>
    done(socket, 'send_message', { matchId: match.id, message, clientId: message });

  /** Sends them one after the other, each until it is stored. */
  async function sendAll(socket, match, bodies) {
    for (const body of bodies) await sendReliably(socket, match.id, body, body);
  }

  /** The other side has received exactly these, in order, and they are what is stored. */
  async function assertReceived(socket, match, bodies) {
    await eventually(
      () => seen(socket, 'receive_message').length >= bodies.length,
      `all ${bodies.length} messages`,
      HEAL_LIMIT_MS,
    );
    assert.deepEqual(
      seen(socket, 'receive_message').map(({ seq, message }) => [seq, message]),
      bodies.map((body, i) => [i + 1, body]),
    );
    assert.deepEqual(
      (await history(stack, match)).map(({ message }) => message),
      bodies,
    );
  }

  test('without NATS refuses sends for now, still reads, and heals', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    await send(alice, match, 'before');
    // Otherwise the join below would leave it to paging.
    await eventually(() => seen(bob, 'receive_message').length === 1, 'the message before');
    await without(['nats'], async () => {
      const path = `/matches/${match.id}/messages`;
      await notReady('gateway-0', 'gateway-1', 'chat-service-0', 'milestone-service-1', 'signaling-service-0');
      await Promise.all([
        assertUnavailable(alice, 'send_message', { matchId: match.id, message: 'during', clientId: 'during' }),
        assertUnavailable(bob, 'video_call_request', { matchId: match.id }),
        assertRestUnavailable('POST', path, match.bob, { message: 'x', clientId: 'x' }),
      ]);
      assert.equal((await rest(stack, 'GET', path, { token: userToken(stack, match.bob) })).json.messages.length, 1);
      assert.equal((await done(bob, 'join_chat', match.id)).lastSeq, 1);
      assert.equal((await fetch(`${stack.url(0)}/healthz`)).status, 200, 'alive all the time');
    });
    await sendAll(alice, match, ['during', 'after']);
    await assertReceived(bob, match, ['before', 'during', 'after']);
  });

  test('without Redis goes on chatting, refuses calls for now, and heals', async () => {
    const match = await newMatch(stack);
    const [alice, bob] = await Promise.all([connect(stack, match.alice), connect(stack, match.bob, { gateway: 1 })]);
    const announced = [alice, bob].map((socket) => next(socket, 'milestone_reached', undefined, HEAL_LIMIT_MS));
    await without(['redis'], async () => {
      await Promise.all(
        [...replicas('milestone-service'), ...replicas('signaling-service')].map((name) => notReady(name)),
      );
      for (const i of upTo(5)) {
        await within(send(alice, match, `m${i}`), `ack of m${i}`, WITHOUT_REDIS_LIMIT_MS);
      }
      await eventually(() => seen(bob, 'inbox_updated').at(-1)?.lastSeq === 5, 'the messages');
      await assertUnavailable(alice, 'video_call_request', { matchId: match.id });
    });
    await Promise.all(announced);
    const rung = next(bob, 'video_call_incoming');
    await eventually(async () => (await ask(alice, 'video_call_request', { matchId: match.id })).ok, 'a call');
    await rung;
    for (const socket of [alice, bob]) assert.equal(seen(socket, 'milestone_reached').length, 1);
  });

  test('without PostgreSQL refuses what needs it for now, lets clients wait, and heals', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    await send(alice, match, 'before');
    const late = await without(['postgres'], async () => {
      await notReady(...replicas('chat-service'));
      await Promise.all([
        assertUnavailable(alice, 'send_message', { matchId: match.id, message: 'during', clientId: 'during' }),
        assertUnavailable(bob, 'join_chat', match.id),
        assertRestUnavailable('GET', `/matches/${match.id}/messages`, match.bob),
        assertRestUnavailable('GET', '/matches', match.alice),
      ]);
      return socketOf(stack, match.bob, clientOptions);
    });
    await connected(late);
    assert.ok((await ask(late, 'join_chat', match.id)).ok);
    await sendAll(alice, match, ['during', 'after']);
    await assertReceived(bob, match, ['before', 'during', 'after']);
  });

  test('without chat-service refuses sends and joins for now, and heals', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    await without(replicas('chat-service'), async () => {
      await Promise.all([
        assertUnavailable(alice, 'send_message', { matchId: match.id, message: 'one', clientId: 'one' }),
        assertUnavailable(bob, 'join_chat', match.id),
      ]);
    });
    await sendAll(alice, match, ['one', 'two']);
    await assertReceived(bob, match, ['one', 'two']);
  });

  test('without milestone-service and signaling-service goes on chatting', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    await without([...replicas('milestone-service'), ...replicas('signaling-service')], async () => {
      await send(alice, match, 'one');
      await assertUnavailable(alice, 'video_call_request', { matchId: match.id });
      assert.deepEqual((await done(bob, 'join_chat', match.id)).call, null);
      await send(alice, match, 'two');
    });
    await assertReceived(bob, match, ['one', 'two']);
    await eventually(async () => (await ask(alice, 'video_call_request', { matchId: match.id })).ok, 'a call');
  });

  test('lets a client of a killed gateway come back and miss nothing', async () => {
    const match = await newMatch(stack);
    const alice = await connect(stack, match.alice, clientOptions);
    const bob = await connect(stack, match.bob, { gateway: 1 });
    await Promise.all([alice, bob].map((socket) => done(socket, 'join_chat', match.id)));
    const received = () => seen(alice, 'receive_message').map(({ seq }) => seq);
    await sendAll(bob, match, ['m1', 'm2']);
    await eventually(() => received().length === 2, 'the first two');
    const back = new Promise((resolve) => {
      alice.once('disconnect', () => alice.once('connect', resolve));
    });
    await stack.control('kill', 'gateway-0');
    await sendAll(bob, match, ['m3', 'm4', 'm5']);
    await stack.control('start', 'gateway-0');
    await within(back, 'reconnect');
    const sending = sendAll(bob, match, ['m6', 'm7', 'm8']);
    // A recovered connection has its chats open and is given what it missed; another one asks for it.
    const page = alice.recovered ? [] : (await done(alice, 'join_chat', { matchId: match.id, sinceSeq: 2 })).messages;
    await sending;
    await eventually(() => received().at(-1) === 8, 'the last one');
    const all = [...received().slice(0, 2), ...page.map(({ seq }) => seq), ...received().slice(2)];
    assert.deepEqual(all, upTo(8), 'each once, in order');
  });

  test('stores a stream of sends once and in order while chat-service replicas are killed', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const numbered = (name) => upTo(40).map((i) => `${name}${i}`);
    let killing = Promise.resolve();
    alice.on('receive_message', ({ message }) => {
      const [verb, name] =
        {
          b5: ['kill', 'chat-service-0'],
          b15: ['start', 'chat-service-0'],
          b25: ['kill', 'chat-service-1'],
          b35: ['start', 'chat-service-1'],
        }[message] ?? [];
      if (verb) killing = killing.then(() => stack.control(verb, name));
    });
    await Promise.all([sendAll(alice, match, numbered('a')), sendAll(bob, match, numbered('b'))]);
    await eventually(
      () => seen(alice, 'receive_message').length === 40 && seen(bob, 'receive_message').length === 40,
      'all 40 on both sides',
      HEAL_LIMIT_MS,
    );
    await killing;
    assert.deepEqual(
      seen(alice, 'receive_message').map(({ message }) => message),
      numbered('b'),
    );
    assert.deepEqual(
      seen(bob, 'receive_message').map(({ message }) => message),
      numbered('a'),
    );
    assert.deepEqual(
      (await history(stack, match)).map(({ seq }) => seq),
      upTo(80),
    );
    await everybodyIsReady();
  });

  test('refuses nothing while a chat-service replica stops in good order', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const bodies = upTo(60).map((i) => `m${i}`);
    let stopped;
    for (const [i, body] of bodies.entries()) {
      if (i === 10) stopped = stack.control('stop', 'chat-service-1');
      await send(alice, match, body);
    }
    await stopped;
    await stack.control('start', 'chat-service-1');
    await assertReceived(bob, match, bodies);
  });

  test('delays and loses nothing while a chat-service replica hangs', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    await stack.control('freeze', 'chat-service-0');
    await sendAll(alice, match, ['m1', 'm2', 'm3']);
    await stack.control('thaw', 'chat-service-0');
    await sendAll(alice, match, ['m4']);
    await assertReceived(bob, match, ['m1', 'm2', 'm3', 'm4']);
  });

  test('drains a gateway that stops: clients are told, lose their transport and come back', async () => {
    const match = await newMatch(stack);
    const alice = await connect(stack, match.alice, clientOptions);
    const told = next(alice, 'server_draining');
    const gone = new Promise((resolve) => alice.once('disconnect', resolve));
    const stopped = stack.control('stop', 'gateway-0');
    assert.ok((await told).reconnectAfterMs >= 0);
    assert.match(await within(gone, 'disconnect'), /^transport/, 'no DISCONNECT packet, which would be for good');
    await stopped;
    await stack.control('start', 'gateway-0');
    await connected(alice);
    await send(alice, match, 'back again');
  });

  test('finds by itself what was lost on the way to a joined socket', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    await sendAll(alice, match, ['m1']);
    // A commit whose announcement was lost.
    await sql(
      stack,
      `
      WITH moved AS (UPDATE matches SET last_seq = 2 WHERE match_id = '${match.id}')
      INSERT INTO messages (match_id, seq, sender_id, client_id, origin, by_rest, body, created_at)
      VALUES ('${match.id}', 2, '${match.alice}', 'm2', NULL, false, '"m2"', now())`,
    );
    await assertReceived(bob, match, ['m1', 'm2']);
  });

  test('finds at once after NATS came back what was lost with it', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const bodies = upTo(30).map((i) => `m${i}`);
    const sending = sendAll(alice, match, bodies);
    await eventually(() => seen(bob, 'receive_message').length >= 5, 'the first messages');
    await stack.control('kill', 'nats');
    await stack.control('start', 'nats');
    await sending;
    await assertReceived(bob, match, bodies);
    await everybodyIsReady();
  });

  test('waits at its start for what is not there yet, and says so', async () => {
    const servers = ['nats', 'redis', 'postgres'];
    const services = stack.services;
    for (const name of [...services, ...servers]) await stack.control('kill', name);
    const before = new Map(services.map((name) => [name, stack.log(name).length]));
    // Started means that /healthz answers.
    for (const name of services) await stack.control('start', name);
    await notReady(...services);
    const needs = {
      gateway: /nats/i,
      'chat-service': /postgres|nats/i,
      'milestone-service': /nats|redis/i,
      'signaling-service': /nats|redis/i,
    };
    for (const name of services) {
      const said = () => stack.log(name).slice(before.get(name));
      await eventually(() => needs[name.replace(/-\d+$/, '')].test(said()), `${name} says what it waits for`);
    }
    for (const name of servers) await stack.control('start', name);
    await everybodyIsReady();
    const { match, alice, bob } = await joinedPair(stack);
    await sendAll(alice, match, ['after all']);
    await assertReceived(bob, match, ['after all']);
  });
});

// Servers of which there are several: one of them goes, and the chats go on.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { describe, test } from 'node:test';
import { chatter } from './support/chatter.mjs';
import {
  connect,
  eventually,
  history,
  joinedPair,
  newMatch,
  pause,
  rest,
  seen,
  sendReliably,
  upTo,
  userToken,
  within,
} from './support/people.mjs';
import { sql } from './support/raw.mjs';
import { useStack } from './support/stack.mjs';

const PAIRS = 6;
const NODES = [0, 1, 2].map((i) => `nats-${i}`);
/** An election takes up to 9 s, and two may follow each other. */
const HEAL_LIMIT_MS = 60_000;

/** Asks a NATS server, again while the cluster has no leader who could tell, and returns the answer as JSON. */
function askNats(url, subject, request) {
  const attempt = () => within(askOnce(url, subject, request), 'answer', 2_000).catch(() => null);
  return eventually(attempt, `an answer to ${subject}`, HEAL_LIMIT_MS);
}

async function askOnce(url, subject, request) {
  const payload = request ? JSON.stringify(request) : '';
  const { hostname, port } = new URL(url);
  const socket = connectTcp(Number(port), hostname);
  try {
    let text = '';
    socket.setEncoding('utf8').on('data', (part) => (text += part));
    socket.write(`CONNECT {}\r\nSUB answer 1\r\nPUB ${subject} answer ${payload.length}\r\n${payload}\r\n`);
    while (!/\nMSG .*\r\n.*\r\n/.test(text)) await within(once(socket, 'data'), 'answer', 2_000);
    return JSON.parse(text.match(/\nMSG .*\r\n(.*)\r\n/)[1]);
  } finally {
    socket.destroy();
  }
}

/** Lets pairs chat while `fault` strikes and a moment longer; nothing is lost. Returns the stalls and says them. */
async function underFault(t, stack, fault) {
  const chats = await chatter(stack, PAIRS);
  await chats.progress();
  const from = Date.now();
  await fault();
  await chats.progress();
  const stalls = chats.stalls(from);
  await chats.stop();
  t.diagnostic(`nobody got an ack for ${stalls.all} ms, somebody waited ${stalls.one} ms, ${stalls.acks} acks`);
  return stalls;
}

const everybodyIsReady = (stack) =>
  eventually(
    async () => (await Promise.all(stack.services.map((name) => stack.isReady(name)))).every(Boolean),
    'everybody is ready',
    HEAL_LIMIT_MS,
  );

describe('a cluster of NATS servers', () => {
  const stack = useStack({
    milestones: [{ id: 'third', messages: 3, unlocks: ['video_call'] }],
    env: { LIMIT_SENDS: '1000/1000' },
    args: ['--nats', 3],
  });

  const ask = (verb, request) =>
    askNats(stack.manifest.natsUrl.split(',')[0], `$JS.API.STREAM.${verb}.CHAT_EVENTS`, request);
  const streamInfo = () => ask('INFO');

  /** Until all copies of the stream are up to date: a cluster survives the loss of one server at a time. */
  const settled = () =>
    eventually(
      async () => (await streamInfo()).cluster?.replicas?.every(({ current, offline }) => current && !offline),
      'three copies that are up to date',
      HEAL_LIMIT_MS,
    );

  /** Two people reach the milestone and are told. */
  async function reachesMilestone() {
    const match = await newMatch(stack);
    const [alice, bob] = await Promise.all(match.members.map((user, gateway) => connect(stack, user, { gateway })));
    for (const i of upTo(3)) await sendReliably(alice, match.id, `m${i}`);
    for (const socket of [alice, bob]) {
      await eventually(() => seen(socket, 'milestone_reached').length === 1, 'the milestone', HEAL_LIMIT_MS);
    }
  }

  test('keeps the stream of commits on all three', async () => {
    await reachesMilestone();
    const { config, cluster } = await streamInfo();
    assert.equal(config.num_replicas, 3);
    assert.deepEqual([cluster.leader, ...cluster.replicas.map(({ name }) => name)].sort(), NODES);
  });

  test('gives a stream more copies that was made when there was one server', async () => {
    const { config } = await streamInfo();
    await ask('UPDATE', { ...config, num_replicas: 1 });
    assert.equal((await streamInfo()).config.num_replicas, 1);
    await stack.control('restart', 'milestone-service-0');
    await eventually(async () => (await streamInfo()).config.num_replicas === 3, 'three copies', HEAL_LIMIT_MS);
  });

  for (const name of NODES) {
    test(`goes on without ${name}, which is killed`, async (t) => {
      await settled();
      const { one, all } = await underFault(t, stack, () => stack.control('kill', name));
      await stack.control('start', name);
      assert.ok(all <= 1_000 && one <= 3_000, 'stalls');
    });
  }

  // The last one to come back has no clients.
  let idle;

  test('counts on after the loss of the leader of the stream', async () => {
    await settled();
    idle = (await streamInfo()).cluster.leader;
    await stack.control('kill', idle);
    try {
      await reachesMilestone();
    } finally {
      await stack.control('start', idle);
    }
  });

  test('goes on while one hangs, and when it comes back', async (t) => {
    await settled();
    const name = NODES.slice(0, 2).find((one) => one !== idle);
    const { all } = await underFault(t, stack, async () => {
      await stack.control('freeze', name);
      // Longer than anybody needs to notice.
      await pause(5_000);
    });
    assert.ok(all <= 6_000, 'stalls');
    await stack.control('thaw', name);
    await everybodyIsReady(stack);
    await reachesMilestone();
  });

  test('is left by its clients before one stops', async (t) => {
    await settled();
    const { one, all } = await underFault(t, stack, async () => {
      const began = Date.now();
      await stack.control('lame-duck', 'nats-0');
      assert.ok(Date.now() - began < 20_000, 'nobody had to be sent away');
    });
    await stack.control('start', 'nats-0');
    assert.ok(all <= 1_000 && one <= 3_000, 'stalls');
  });

  test('is filled again after one lost its data, and after all did', async () => {
    await settled();
    await stack.control('wipe', 'nats-2');
    await settled();
    await stack.control('wipe', 'nats');
    await reachesMilestone();
    const { config } = await eventually(async () => {
      const info = await streamInfo();
      return info.config && info;
    }, 'the stream');
    assert.equal(config.num_replicas, 3);
  });
});

describe('PostgreSQL with a standby', () => {
  const stack = useStack({ env: { LIMIT_SENDS: '1000/1000' }, args: ['--pg-standby'] });

  test('acks no COMMIT whose wait for the standby was cancelled', async () => {
    const { match, alice } = await joinedPair(stack);
    await stack.control('freeze', 'postgres-1');
    let acked = false;
    const sending = sendReliably(alice, match.id, 'waits').finally(() => (acked = true));
    const cancel = `SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`;
    let cancelled = 0;
    // The repeats of the send wait, and are cancelled, as well.
    while (cancelled < 5) cancelled += Number(await sql(stack, cancel));
    assert.equal(await sql(stack, `SELECT count(*) FROM messages WHERE match_id = '${match.id}'`), '1', 'committed here');
    assert.ok(!acked);
    await stack.control('thaw', 'postgres-1');
    assert.equal((await sending).seq, 1);
    assert.equal((await history(stack, match)).length, 1);
  });

  test('goes on after a promotion, and so do syncs', async (t) => {
    const { match, alice } = await joinedPair(stack);
    const sync = async (token) => {
      const { json } = await rest(stack, 'POST', '/sync', { token: userToken(stack, match.bob), body: { token } });
      return json;
    };
    const { token } = await sync();
    await sendReliably(alice, match.id, 'before');
    const { all } = await underFault(t, stack, () => stack.control('promote', 'postgres'));
    assert.ok(all <= 10_000, 'stalls');
    await sendReliably(alice, match.id, 'after');
    const { reset, matches } = await sync(token);
    assert.deepEqual([reset, matches.map(({ lastSeq }) => lastSeq)], [false, [2]]);
  });

  test('goes on after a promotion back, in the place of a server that hangs', async (t) => {
    await stack.control('rejoin', 'postgres');
    const { all } = await underFault(t, stack, async () => {
      await stack.control('freeze', 'postgres');
      await stack.control('promote', 'postgres');
    });
    assert.ok(all <= 10_000, 'stalls');
    await everybodyIsReady(stack);
  });

  test('restarts at once without a loss', async (t) => {
    await stack.control('rejoin', 'postgres');
    const { all } = await underFault(t, stack, () => stack.control('restart', 'postgres'));
    assert.ok(all <= 10_000, 'stalls');
  });
});

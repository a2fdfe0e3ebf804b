// Gateways die under load, one or all, and NATS restarts: every client comes back as the one it was and misses nothing.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { useBalancer } from './support/balancer.mjs';
import { CROWD_LIMITS, gather } from './support/crowd.mjs';
import {
  connect,
  connected,
  done,
  eventually,
  newMatch,
  next,
  now,
  rest,
  seen,
  serviceToken,
  socketOf,
  upTo,
  userToken,
} from './support/people.mjs';
import { useStack } from './support/stack.mjs';

/** Who has missed more than this in a chat starts anew. */
const MAX_MISSED = 1_000;
const SAVED_AT_ONCE = 16;

const GATEWAYS = ['gateway-0', 'gateway-1', 'gateway-2'];

describe('the reconnect', () => {
  const limits = { ...CROWD_LIMITS, LIMIT_SENDS: '100000/100000', LIMIT_JOINS: '100/100' };
  const stack = useStack({ gateways: GATEWAYS.length, replicas: 2, env: limits });

  describe('of a crowd behind a load balancer', () => {
    const balancer = useBalancer(stack);
    let crowd;
    before(async () => {
      crowd = await gather(stack, { url: balancer.url });
    });

    /** Lets something happen while everybody talks; in the end all have all. */
    async function whileTalking(disturb) {
      crowd.talk();
      try {
        await crowd.goesOn();
        await disturb();
        await crowd.goesOn();
      } finally {
        await crowd.hush();
      }
      await crowd.isBack();
      await crowd.assertComplete();
    }

    test('after the death of a gateway', async () => {
      const before = crowd.comebacks();
      await whileTalking(async () => {
        await stack.control('kill', 'gateway-1');
        await crowd.goesOn();
        await crowd.isBack();
        await stack.control('start', 'gateway-1');
      });
      assert.ok(crowd.comebacks().some((count, i) => count > before[i]), 'somebody was there');
    });

    test('after the death of all gateways at once', async () => {
      const before = crowd.comebacks();
      await whileTalking(async () => {
        for (const name of GATEWAYS) await stack.control('kill', name);
        for (const name of GATEWAYS) await stack.control('start', name);
        await crowd.isBack(before.map((count) => count + 1));
      });
    });

    test('after a restart of NATS', () =>
      whileTalking(async () => {
        await stack.control('kill', 'nats');
        await stack.control('start', 'nats');
      }));
  });

  describe('of a client that was away', () => {
    const seqs = (socket) => seen(socket, 'receive_message').map(({ seq }) => seq);

    async function goAway(socket) {
      socket.io.reconnection(false);
      const gone = new Promise((resolve) => socket.once('disconnect', resolve));
      socket.io.engine.close();
      await gone;
    }

    async function comeBack(socket) {
      socket.io.uri = stack.url(1);
      socket.connect();
      await connected(socket);
    }

    /** Saves so many messages by REST. */
    async function save(match, count) {
      const token = userToken(stack, match.alice);
      let left = count;
      const saveSome = async () => {
        while (left > 0) {
          left -= 1;
          const saved = await rest(stack, 'POST', `/matches/${match.id}/messages`, { token, body: { message: 'x' } });
          assert.equal(saved.status, 201, saved.text);
        }
      };
      await Promise.all(Array.from({ length: SAVED_AT_ONCE }, saveSome));
    }

    /** Bob, who joined an empty chat and was away while so many messages were saved. */
    async function awayFor(count) {
      const match = await newMatch(stack);
      const bob = await connect(stack, match.bob);
      await done(bob, 'join_chat', match.id);
      await goAway(bob);
      await save(match, count);
      await comeBack(bob);
      return { match, bob };
    }

    test('for a thousand messages gives it all of them', async () => {
      const { match, bob } = await awayFor(MAX_MISSED);
      assert.equal(bob.recovered, true);
      await save(match, 1);
      await eventually(() => seqs(bob).length > MAX_MISSED, 'all messages');
      assert.deepEqual(seqs(bob), upTo(MAX_MISSED + 1));
      await eventually(() => seen(bob, 'milestone_reached').length === 1, 'the milestone');
    });

    test('for one more starts anew, and it pages', async () => {
      const { match, bob } = await awayFor(MAX_MISSED + 1);
      assert.equal(bob.recovered, false);
      const paged = [];
      for (let hasMore = true; hasMore; ) {
        const page = await done(bob, 'join_chat', { matchId: match.id, sinceSeq: paged.length });
        paged.push(...page.messages.map(({ seq }) => seq));
        hasMore = page.hasMore;
      }
      assert.deepEqual(paged, upTo(MAX_MISSED + 1));
      assert.deepEqual(seqs(bob), []);
      await save(match, 1);
      await eventually(() => seqs(bob).length === 1, 'the next message');
      assert.deepEqual(seqs(bob), [MAX_MISSED + 2]);
    });

    test('and whose token was revoked gives it nothing until it has another', async () => {
      const match = await newMatch(stack);
      const bob = await connect(stack, match.bob);
      await done(bob, 'join_chat', match.id);
      const gone = new Promise((resolve) => bob.once('disconnect', resolve));
      bob.io.reconnection(false);
      const revoked = await rest(stack, 'POST', `/users/${match.bob}/revoke`, { token: serviceToken(stack) });
      assert.ok(revoked.ok, revoked.text);
      const revokedAt = now();
      assert.match(await gone, /^transport/);
      await save(match, 3);
      // Every gateway knows within a second, and a newer token is one of a later second.
      await eventually(() => now() > revokedAt + 1, 'two seconds');
      for (const gateway of [0, 1]) {
        const thief = socketOf(stack, match.bob, { gateway, reconnection: false, autoConnect: false });
        Object.assign(thief, { auth: bob.auth, _pid: bob._pid, _lastOffset: bob._lastOffset });
        const refusal = next(thief, 'connect_error');
        thief.connect();
        assert.equal((await refusal).data?.code, 'UNAUTHENTICATED');
        assert.deepEqual(thief.received, []);
      }
      bob.auth = { token: userToken(stack, match.bob) };
      await comeBack(bob);
      assert.equal(bob.recovered, true);
      await eventually(() => seqs(bob).length === 3, 'what was missed');
    });
  });
});

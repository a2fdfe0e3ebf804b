// A thousand clients of every kind behind a load balancer that knows nothing of sessions.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { useBalancer } from './support/balancer.mjs';
import { useCompany } from './support/company.mjs';
import { CROWD_LIMITS } from './support/crowd.mjs';
import { eventually, newMatch, upTo, userToken } from './support/people.mjs';
import { useStack } from './support/stack.mjs';

const CLIENTS = 1_000;
const PROCESSES = 4;
/** A third each; the last is what a client does that is told nothing: it polls, then upgrades. */
const TRANSPORTS = [['polling'], ['websocket'], undefined];
const PING_INTERVAL_MS = 3_000;
const HEARTBEATS = 3;
const ROUNDS = ['a', 'b'];
const SENDS_PER_ROUND = 5;
const CONVERGED_WITHIN_MS = 30_000;
const MATCHES_AT_ONCE = 20;

describe('a thousand clients behind a load balancer', () => {
  const stack = useStack({ gateways: 4, replicas: 2, env: { ...CROWD_LIMITS, PING_INTERVAL_MS } });
  const balancer = useBalancer(stack);
  const company = useCompany(PROCESSES);

  /** Each client's partner is of another kind. */
  async function pairs() {
    const person = (user, number) => ({ token: userToken(stack, user), transports: TRANSPORTS[number % TRANSPORTS.length] });
    const numbers = upTo(CLIENTS / 2);
    const made = [];
    const makeSome = async () => {
      for (let i = numbers.shift(); i; i = numbers.shift()) {
        const { id, alice, bob } = await newMatch(stack);
        made.push({ match: id, people: [person(alice, 2 * i), person(bob, 2 * i + 1)] });
      }
    };
    await Promise.all(Array.from({ length: MATCHES_AT_ONCE }, makeSome));
    return made;
  }

  test('stay connected through heartbeats, keep their order, and send bytes', async () => {
    const opened = await company.open(balancer.url, await pairs());
    assert.equal(opened.reduce((sum, count) => sum + count), CLIENTS);

    for (const name of ROUNDS) assert.deepEqual(await company.ask('talk', { name, count: SENDS_PER_ROUND }), []);
    const expected = ROUNDS.flatMap((name) => upTo(SENDS_PER_ROUND).map((n) => `${name}${n - 1}`));
    const everybody = (what, isThere) =>
      eventually(async () => (await company.ask('progress')).every(isThere), what, CONVERGED_WITHIN_MS);
    await everybody('has heard everything', ({ heard }) => heard >= expected.length);
    const codes = new Set(await company.ask('sendBytes'));
    assert.deepEqual([...codes], ['INVALID_PAYLOAD']);
    await everybody('has had several heartbeats', ({ pings }) => pings >= HEARTBEATS);

    for (const { transports, transport, connected, heard, losses } of await company.ask('report')) {
      const what = `${transports ?? 'default'}, now ${transport}`;
      assert.deepEqual([connected, losses], [true, []], what);
      assert.deepEqual(heard.map(({ message }) => message), expected, what);
      assert.ok(heard.every(({ seq }, i) => i === 0 || heard[i - 1].seq < seq), what);
      assert.equal(transport, transports?.[0] ?? 'websocket', 'the default upgrades');
    }
    await company.ask('close');
  });
});

// NATS delivers at most once: what a socket was not told of is found by the next message, or by comparing heads.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  connect,
  done,
  eventually,
  joinedPair,
  newMatch,
  pause,
  seen,
  sendReliably,
  upTo,
} from './support/people.mjs';
import { useStack } from './support/stack.mjs';

/** Every third event of each user is lost. */
const LOST = 3;
/** The last one arrives. */
const SENDS = 20 * LOST + 1;
const BETWEEN_SENDS_MS = 40;
const HEALED_BY_TRAFFIC_MS = 1_000;
const HEALED_WITHOUT_TRAFFIC_MS = 30_000;
/** For a gateway to be back at NATS. */
const BACK_MS = 1_000;
/** NATS gives up a client that takes nothing for 10 s, once the buffers between them are full; clients give up a gateway after 45 s. */
const SLOW_CONSUMER_MS = 35_000;
const FILLING = 'x'.repeat(15_000);
const FILLING_AT_ONCE = 20;

const seqs = (socket) => seen(socket, 'receive_message').map(({ seq }) => seq);

/** When each message arrived, by seq. */
function arrivals(socket) {
  const times = new Map();
  socket.on('receive_message', ({ seq }) => times.set(seq, Date.now()));
  return times;
}

// At once, as they wait for one another's half minutes else.
describe('a gateway that loses events', { concurrency: true }, () => {
  const stack = useStack({ losing: LOST, env: { LIMIT_SENDS: '1000/1000', RECEIPTS: 'off' } });

  async function healed() {
    const pages = await Promise.all(
      stack.manifest.gateways.map(async ({ url }) => (await fetch(`${url}/metrics`)).text()),
    );
    const lines = pages.flatMap((page) => page.split('\n')).filter((line) => line.startsWith('gateway_gaps_healed'));
    return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  }

  /** A chat that each of the two has open on a phone and, through the other gateway, on a tablet; Alice's phone talks. */
  async function audience() {
    const { match, alice, bob } = await joinedPair(stack);
    const tablets = await Promise.all(match.members.map((user, i) => connect(stack, user, { gateway: 1 - i })));
    await Promise.all(tablets.map((socket) => done(socket, 'join_chat', match.id)));
    const listeners = [bob, ...tablets];
    const say = (n) => done(alice, 'send_message', { matchId: match.id, message: `m${n}` });
    const haveHeard = (count, limitMs) =>
      eventually(() => listeners.every((socket) => seqs(socket).length >= count), `message ${count}`, limitMs);
    return { alice, listeners, say, haveHeard };
  }

  test('gives every device all of it within a second while traffic flows', async () => {
    const { alice, listeners, say, haveHeard } = await audience();
    const arrived = listeners.map(arrivals);
    const before = await healed();
    const acked = [];
    for (const n of upTo(SENDS)) {
      await say(n);
      acked.push(Date.now());
      await pause(BETWEEN_SENDS_MS);
    }
    await haveHeard(SENDS);
    for (const socket of listeners) assert.deepEqual(seqs(socket), upTo(SENDS));
    for (const times of arrived) {
      const late = upTo(SENDS).filter((seq) => times.get(seq) - acked[seq - 1] > HEALED_BY_TRAFFIC_MS);
      assert.deepEqual(late, [], 'these took longer than a second');
    }
    assert.deepEqual(seqs(alice), [], 'nothing of her own');
    assert.ok((await healed()) > before, 'gaps were healed');
  });

  test('gives every device within half a minute what nothing follows that would show it', async () => {
    const { listeners, say, haveHeard } = await audience();
    for (const n of upTo(LOST)) {
      await say(n);
      if (n < LOST) await haveHeard(n);
    }
    const before = await healed();
    await haveHeard(LOST, HEALED_WITHOUT_TRAFFIC_MS);
    for (const socket of listeners) assert.deepEqual(seqs(socket), upTo(LOST));
    assert.ok((await healed()) > before, 'by fetching it');
  });

  test('gives both sides of many chats all of it while both talk', async () => {
    const chats = await Promise.all(upTo(6).map(() => joinedPair(stack)));
    const say = async (socket, match, name) => {
      for (const n of upTo(20)) {
        await sendReliably(socket, match.id, `${name}${n}`);
        await pause(BETWEEN_SENDS_MS);
      }
    };
    await Promise.all(chats.flatMap(({ match, alice, bob }) => [say(alice, match, 'a'), say(bob, match, 'b')]));
    const names = (prefix) => upTo(20).map((n) => `${prefix}${n}`);
    const heard = (socket) => seen(socket, 'receive_message').map(({ message }) => message);
    const all = () => chats.every(({ alice, bob }) => [alice, bob].every((socket) => heard(socket).length >= 20));
    await eventually(all, 'all of it', HEALED_WITHOUT_TRAFFIC_MS);
    for (const { alice, bob } of chats) {
      assert.deepEqual(heard(alice), names('b'));
      assert.deepEqual(heard(bob), names('a'));
    }
  });
});

describe('a gateway that hears nothing', () => {
  const stack = useStack({
    losing: 1,
    milestones: [{ id: 'first', messages: 1, unlocks: ['video_call'] }],
  });

  test('gives every device the message and the milestone within half a minute, each once', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const tablets = await Promise.all(match.members.map((user, i) => connect(stack, user, { gateway: 1 - i })));
    await Promise.all(tablets.map((socket) => done(socket, 'join_chat', match.id)));
    await done(alice, 'send_message', { matchId: match.id, message: 'x' });
    const everybody = [alice, bob, ...tablets];
    const reached = (socket) => seen(socket, 'milestone_reached').length;
    const told = () => everybody.every((socket) => reached(socket) > 0 && (socket === alice || seqs(socket).length > 0));
    await eventually(told, 'message and milestone', HEALED_WITHOUT_TRAFFIC_MS);
    for (const socket of everybody) {
      assert.equal(reached(socket), 1);
      assert.deepEqual(seqs(socket), socket === alice ? [] : [1]);
    }
  });
});

describe('a gateway that NATS has lost', () => {
  const stack = useStack({ env: { LIMIT_SENDS: '10000/10000' } });

  /** Alice talks through gateway 0 and Bob listens on gateway 1, until `hush`; each ack's time by seq. */
  async function conversation() {
    const { match, alice, bob } = await joinedPair(stack);
    const [acked, arrived] = [new Map(), arrivals(bob)];
    let isTalking = true;
    const talk = async () => {
      while (isTalking) {
        const { seq } = await sendReliably(alice, match.id, 'x');
        acked.set(seq, Date.now());
        await pause(BETWEEN_SENDS_MS);
      }
    };
    const talking = talk();
    talking.catch(() => {}); // `hush` tells, unless the test has failed before.
    const hush = async () => {
      isTalking = false;
      await talking;
    };
    return { bob, acked, arrived, hush };
  }

  /** One goes on talking for a while after the gateway is back, of the other everything was said before. */
  async function assertConverge(talkative, silenced, backAt) {
    await pause(BACK_MS);
    const said = talkative.acked.size;
    await eventually(() => talkative.arrived.size >= said, 'what was lost', HEALED_WITHOUT_TRAFFIC_MS);
    await talkative.hush();
    for (const { bob, acked } of [talkative, silenced]) {
      await eventually(() => seqs(bob).length >= acked.size, 'all of it', HEALED_WITHOUT_TRAFFIC_MS);
      assert.deepEqual(seqs(bob), upTo(acked.size));
    }
    const took = ([seq, at]) => talkative.arrived.get(seq) - Math.max(at, backAt + BACK_MS);
    const late = [...talkative.acked].filter((ack) => took(ack) > HEALED_BY_TRAFFIC_MS);
    assert.deepEqual(late, [], 'these took longer than a second');
  }

  test('as a slow consumer has everything again within a second of traffic, or half a minute', async () => {
    const [talkative, silenced] = await Promise.all([conversation(), conversation()]);
    const carol = await joinedPair(stack);
    // What fills the connection is for users whom nobody's chat here concerns, but for Bob's gateway it is to be read.
    const filling = await Promise.all(
      [talkative, silenced].map(({ bob }) => newMatch(stack, [carol.match.alice, bob.user])),
    );
    const before = slowConsumers();
    await stack.control('freeze', 'gateway-1');
    try {
      const fill = ({ id }) =>
        Promise.all(upTo(FILLING_AT_ONCE).map(() => sendReliably(carol.alice, id, { FILLING })));
      const isGivenUp = async () => {
        await Promise.all(filling.map(fill));
        return slowConsumers() > before;
      };
      await eventually(isGivenUp, 'NATS gives it up', SLOW_CONSUMER_MS);
      await silenced.hush();
    } finally {
      await stack.control('thaw', 'gateway-1');
    }
    await assertConverge(talkative, silenced, Date.now());
  });

  const slowConsumers = () => stack.log('nats').match(/slow consumer/gi)?.length ?? 0;

  test('by a restart has everything again within a second of traffic, or half a minute', async () => {
    const [talkative, silenced] = await Promise.all([conversation(), conversation()]);
    await eventually(() => talkative.acked.size > 5 && silenced.acked.size > 5, 'both talk');
    await stack.control('kill', 'nats');
    await stack.control('start', 'nats');
    await silenced.hush();
    await assertConverge(talkative, silenced, Date.now());
  });
});

// Rows that are missing from PostgreSQL, as after somebody erased a message: healing passes them, and asks no more than
// it has to.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import {
  comeBack,
  connect,
  done,
  eventually,
  joinedPair,
  newMatch,
  pause,
  rest,
  seen,
  upTo,
  userToken,
} from './support/people.mjs';
import { sql } from './support/raw.mjs';
import { useStack } from './support/stack.mjs';

/** Every third event of each user is lost. */
const LOST = 3;
const HEALED_BY_TRAFFIC_MS = 5_000;
const HEALED_WITHOUT_TRAFFIC_MS = 30_000;
/** Long enough to see whether something asks again and again. */
const QUIET_MS = 2_000;
/** Far more than sweeps and pings take, far less than a loop without a pause does. */
const IDLE_CPU_SHARE = 0.3;

const seqs = (socket) => seen(socket, 'receive_message').map(({ seq }) => seq);
const erase = (stack, match, where) => sql(stack, `DELETE FROM messages WHERE match_id = '${match.id}' AND ${where}`);

/** What a process has used of all cores; the kernel counts in hundredths. */
function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** How much of the time of one core the gateways and chat-services take for a while. */
async function load(stack) {
  const busy = stack.manifest.members.filter(({ name }) => /^(gateway|chat-service)/.test(name));
  const spent = () => busy.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0);
  const before = spent();
  await pause(QUIET_MS);
  return (spent() - before) / (QUIET_MS / 1_000);
}

describe('a gateway that loses events of chats in which rows are missing', { concurrency: true }, () => {
  const stack = useStack({ losing: LOST, env: { LIMIT_SENDS: '1000/1000', RECEIPTS: 'off' } });

  /** Bob has the chat open and hears two of three; the third is erased before it can be fetched. */
  async function erased() {
    const both = await joinedPair(stack);
    const say = (n) => done(both.alice, 'send_message', { matchId: both.match.id, message: `m${n}` });
    for (const n of upTo(LOST)) await say(n);
    await erase(stack, both.match, `seq = ${LOST}`);
    return { ...both, say };
  }

  test('gives what comes after an erased message', async () => {
    const { bob, say } = await erased();
    for (const n of [4, 5]) await say(n);
    await eventually(() => seqs(bob).includes(5), 'what comes after it', HEALED_BY_TRAFFIC_MS);
    assert.deepEqual(seqs(bob), [1, 2, 4, 5]);
    for (const n of upTo(6)) await say(5 + n);
    await eventually(() => seqs(bob).includes(11), 'and goes on', HEALED_WITHOUT_TRAFFIC_MS);
    assert.deepEqual(seqs(bob), [1, 2, ...upTo(8).map((n) => 3 + n)]);
  });

  test('gives what comes after many erased messages', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const say = (n) => done(alice, 'send_message', { matchId: match.id, message: `m${n}` });
    await say(1);
    // The inboxes lose some of these, and then nobody has them.
    for (const n of upTo(20)) await say(1 + n);
    await erase(stack, match, 'seq BETWEEN 2 AND 21');
    await say(22);
    await say(23);
    const goesOn = () => seqs(bob).includes(22) || seqs(bob).includes(23);
    await eventually(goesOn, 'what comes after them', HEALED_WITHOUT_TRAFFIC_MS);
    assert.deepEqual(seqs(bob), [...seqs(bob)].sort((a, b) => a - b));
  });
});

describe('a chat in which rows are missing', { concurrency: true }, () => {
  const stack = useStack({ env: { LIMIT_SENDS: '1000/1000' } });

  /** Bob is away while Alice says 12 things, of which some are erased; what Bob hears when he is back. */
  async function missed(where) {
    const { match, alice, bob } = await joinedPair(stack);
    const say = (n) => done(alice, 'send_message', { matchId: match.id, message: `m${n}` });
    await say(1);
    await eventually(() => seqs(bob).length === 1, 'the first message');
    const meanwhile = async () => {
      for (const n of upTo(12)) await say(1 + n);
      await erase(stack, match, where);
    };
    await comeBack(stack, bob, { meanwhile });
    assert.equal(bob.recovered, true);
    await say(14);
    await eventually(() => seqs(bob).includes(14), 'what comes after it', HEALED_BY_TRAFFIC_MS);
    return seqs(bob);
  }

  const between = (from, to) => upTo(to - from + 1).map((n) => from + n - 1);

  test('is recovered past one at the beginning', async () => {
    assert.deepEqual(await missed('seq = 2'), [1, ...between(3, 14)]);
  });

  test('is recovered past several in the middle', async () => {
    assert.deepEqual(await missed('seq IN (4, 7, 8, 9, 11)'), [1, 2, 3, 5, 6, 10, 12, 13, 14]);
  });

  test('is recovered past those at the end', async () => {
    assert.deepEqual(await missed('seq > 10'), [...between(1, 10), 14]);
  });

  test('is recovered when all is missing', async () => {
    assert.deepEqual(await missed('seq > 1'), [1, 14]);
  });

  test('is recovered past a row that no client can be shown', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const say = (n) => done(alice, 'send_message', { matchId: match.id, message: `m${n}` });
    await say(1);
    await eventually(() => seqs(bob).length === 1, 'the first message');
    const meanwhile = async () => {
      for (const n of [2, 3, 4]) await say(n);
      await sql(stack, `UPDATE messages SET sender_id = 'not an id' WHERE match_id = '${match.id}' AND seq = 2`);
    };
    await comeBack(stack, bob, { meanwhile });
    await eventually(() => seqs(bob).includes(4), 'what comes after it', HEALED_BY_TRAFFIC_MS);
    assert.deepEqual(seqs(bob), [1, 3, 4]);
  });

  test('is recovered when its head is far above everything', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const say = (n) => done(alice, 'send_message', { matchId: match.id, message: `m${n}` });
    await say(1);
    await eventually(() => seqs(bob).length === 1, 'the first message');
    const raise = () => sql(stack, `UPDATE matches SET last_seq = 900 WHERE match_id = '${match.id}'`);
    await comeBack(stack, bob, { meanwhile: raise });
    assert.equal((await say(2)).seq, 901);
    await eventually(() => seqs(bob).includes(901), 'what comes after it', HEALED_BY_TRAFFIC_MS);
    assert.deepEqual(seqs(bob), [1, 901]);
  });

  test('is read page by page by joins and by REST, to the end', async () => {
    const match = await newMatch(stack);
    const [alice, bob] = await Promise.all(match.members.map((user) => connect(stack, user)));
    for (const n of upTo(30)) await done(alice, 'send_message', { matchId: match.id, message: `m${n}` });
    await erase(stack, match, 'seq IN (1, 2, 9, 10, 11, 29, 30)');
    const left = upTo(30).filter((seq) => ![1, 2, 9, 10, 11, 29, 30].includes(seq));
    const joined = await done(bob, 'join_chat', { matchId: match.id, sinceSeq: 0 });
    assert.deepEqual([joined.messages.map(({ seq }) => seq), joined.hasMore, joined.lastSeq], [left, false, 30]);
    for (const direction of ['after', 'before']) {
      const found = [];
      for (let at = direction === 'after' ? 0 : 31, hasMore = true; hasMore; ) {
        const page = await rest(stack, 'GET', `/matches/${match.id}/messages?${direction}=${at}&limit=7`, {
          token: userToken(stack, match.bob),
        });
        assert.equal(page.status, 200, page.text);
        const own = page.json.messages.map(({ seq }) => seq);
        found.push(...own);
        hasMore = page.json.hasMore;
        assert.ok(own.length > 0 || !hasMore, 'a page that has more has something');
        at = own.at(direction === 'after' ? -1 : 0);
      }
      assert.deepEqual(found.sort((a, b) => a - b), left, direction);
    }
  });
});

describe('gateways after chats in which rows are missing were healed', () => {
  const stack = useStack({ losing: 1, env: { LIMIT_SENDS: '1000/1000', RECEIPTS: 'off' } });

  test('are idle', async () => {
    const chats = await Promise.all(upTo(8).map(() => joinedPair(stack)));
    for (const { match, alice } of chats) {
      for (const n of upTo(6)) await done(alice, 'send_message', { matchId: match.id, message: `m${n}` });
      await erase(stack, match, 'seq = 1');
    }
    const isHealed = () => chats.every(({ bob }) => seqs(bob).includes(6));
    await eventually(isHealed, 'everybody has the rest', HEALED_WITHOUT_TRAFFIC_MS);
    for (const { bob } of chats) assert.deepEqual(seqs(bob), [2, 3, 4, 5, 6]);
    const share = await load(stack);
    assert.ok(share < IDLE_CPU_SHARE, `${share} of a core`);
  });
});

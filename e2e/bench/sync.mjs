// What a sync costs a user with many matches of which nothing is new, and one who asks for everything:
// `node e2e/bench/sync.mjs [matches] [syncs]`, with LOCAL_STACK naming the program. CPU of all server processes.
import { cpuByKind } from './cpu.mjs';
import { Stack } from '../tests/support/stack.mjs';
import { eventually, newMatch, rest, upTo, userToken } from '../tests/support/people.mjs';

const [matches, syncs] = process.argv.slice(2).map(Number);
const MATCHES = matches || 500;
const SYNCS = syncs || 500;
const AT_ONCE = 10;

const stack = new Stack();
await stack.start({ env: { LIMIT_HISTORY: '100000/100000', LIMIT_READ_BYTES: '1000000000/4000000000' } });
try {
  const user = 'somebody';
  for (let n = 0; n < MATCHES; n += AT_ONCE) {
    await Promise.all(upTo(AT_ONCE).map((i) => newMatch(stack, [user, `friend-${n + i}`])));
  }
  const token = userToken(stack, user);
  const sync = async (body) => (await rest(stack, 'POST', '/sync', { token, body })).json;
  let known;
  await eventually(async () => {
    const answer = await sync({ token: known, limit: 200, messages: 0 });
    known = answer.token;
    return !answer.hasMore && !answer.matches.length;
  }, 'nothing new');
  await measure('nothing new', () => sync({ token: known }));
  await measure('the first 50 of everything', () => sync({}));
} finally {
  await stack.stop();
}

async function measure(what, sync) {
  const before = cpuByKind(stack);
  const began = performance.now();
  for (let n = 0; n < SYNCS; n += 1) await sync();
  const ms = (performance.now() - began) / SYNCS;
  const cost = ([kind, seconds]) => [kind, ((seconds - before[kind]) * 1e3) / SYNCS];
  const used = Object.entries(cpuByKind(stack)).map(cost);
  const total = used.reduce((sum, [, each]) => sum + each, 0);
  const parts = used.map(([kind, each]) => `${kind} ${each.toFixed(2)}`).join(', ');
  console.log(`${what}, ${MATCHES} matches: ${total.toFixed(2)} ms of CPU a sync (${parts})`);
  console.log(`  answered in ${ms.toFixed(1)} ms`);
}

// How soon nobody hears anything of a blocked user any more, beside what a message takes, under load:
// `node e2e/bench/block.mjs [tries] [messages/s]`, with LOCAL_STACK naming the program, beside which `load-test` lies.
// In each try one of two sends as fast as acks come, and the other, on the other gateway, blocks.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { randomUUID } from 'node:crypto';
import { dirname, join } from 'node:path';
import { Stack } from '../tests/support/stack.mjs';
import { ask, connect, done, eventually, newMatch, pause, rest, upTo, userToken } from '../tests/support/people.mjs';

const [tries = 1_000, rate = 1_000] = process.argv.slice(2).map(Number);
const AT_ONCE = 10;
const LOAD_PAIRS = 500;
/** Sends before the block, so that some are on their way. */
const SENDS_BEFORE = 5;
/** After this long nothing is on its way any more. */
const SETTLED_MS = 500;
const LOAD_TEST = join(dirname(process.env.LOCAL_STACK ?? 'target/release/local-stack'), 'load-test');

const latencies = [];
const silences = [];

/** Two people who meet, chat and block each other again and again. */
async function pairUp(stack, count) {
  const members = [`a-${randomUUID()}`, `b-${randomUUID()}`];
  const [alice, bob] = await Promise.all(members.map((user, gateway) => connect(stack, user, { gateway })));
  let heardAt = 0;
  alice.on('receive_message', ({ message }) => {
    heardAt = performance.now();
    latencies.push(heardAt - message.at);
  });
  const token = userToken(stack, members[0]);
  const block = (method) => rest(stack, method, `/users/me/blocks/${members[1]}`, { token });
  for (let n = 0; n < count; n += 1) {
    const { id: matchId } = await newMatch(stack, members);
    await Promise.all([alice, bob].map((socket) => done(socket, 'join_chat', matchId)));
    let sent = 0;
    const sending = (async () => {
      for (;;) {
        const { ok, error } = await ask(bob, 'send_message', { matchId, message: { at: performance.now() } });
        if (ok) sent += 1;
        else if (error.code === 'MATCH_CLOSED') return;
      }
    })();
    await eventually(() => sent >= SENDS_BEFORE, 'messages');
    const { status } = await block('PUT');
    const ackedAt = performance.now();
    if (status !== 204) throw new Error(`block: ${status}`);
    await sending;
    await pause(SETTLED_MS);
    silences.push(Math.max(0, heardAt - ackedAt));
    await block('DELETE');
  }
}

const stack = new Stack();
await stack.start({ env: { LIMIT_SENDS: '1000/1000', LIMIT_SENDS_MATCH: '1000/1000', LIMIT_JOINS: '100/100' } });
const load = ['--stack', join(stack.dir, 'stack.json'), '--rate', rate, '--pairs', LOAD_PAIRS, '--duration-s', 3_600];
const others = spawn(LOAD_TEST, load.map(String), { stdio: 'ignore' });
try {
  await pause(5_000);
  await Promise.all(upTo(AT_ONCE).map(() => pairUp(stack, Math.ceil(tries / AT_ONCE))));
  const at = (values, part) => values.toSorted((a, b) => a - b)[Math.floor(values.length * part)];
  const [message, silence] = [latencies, silences].map((values) => at(values, 0.99));
  console.log(`${silences.length} blocks, ${latencies.length} messages, ${rate} others a second`);
  console.log(`a message takes ${at(latencies, 0.5).toFixed(1)} ms, the 99th percentile ${message.toFixed(1)} ms`);
  const part = (silence / message).toFixed(2);
  console.log(`from the ack of a block to silence: 99th percentile ${silence.toFixed(1)} ms, ${part} of that`);
} finally {
  others.kill();
  await once(others, 'close');
  await stack.stop();
}

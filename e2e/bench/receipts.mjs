// What receipts cost beside messages, when everybody reads what comes: pairs chat at a rate with receipts off, and then
// with receipts on and every message marked as read, in turns:
// `node e2e/bench/receipts.mjs [messages/s] [pairs] [seconds] [turns]`, with LOCAL_STACK naming the program, beside
// which `load-test` lies. CPU of all server processes; what users prove and are told is part of it.
import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { cpuByKind } from './cpu.mjs';
import { Stack } from '../tests/support/stack.mjs';
import { upTo } from '../tests/support/people.mjs';

const [rate = 2_000, pairs = 1_000, seconds = 20, turns = 3] = process.argv.slice(2).map(Number);
const LOAD_TEST = join(dirname(process.env.LOCAL_STACK ?? 'target/release/local-stack'), 'load-test');

/** Microseconds of CPU a message, in all and by the kind of process. */
async function costOfMessage({ reading }) {
  const stack = new Stack();
  await stack.start({ env: { RECEIPTS: reading ? 'on' : 'off' } });
  try {
    const json = join(stack.dir, 'load.json');
    const flags = ['--stack', join(stack.dir, 'stack.json'), '--json', json, '--warmup-s', 0, '--duration-s', seconds];
    const before = cpuByKind(stack);
    const load = ['--rate', rate, '--pairs', pairs, ...(reading ? ['--reading'] : [])];
    const { stdout } = await promisify(execFile)(LOAD_TEST, [...flags, ...load].map(String));
    const acked = Number(/whole run .*acked (\d+)/.exec(stdout)[1]);
    const used = Object.entries(cpuByKind(stack)).map(([kind, s]) => [kind, ((s - before[kind]) * 1e6) / acked]);
    return { total: used.reduce((sum, [, us]) => sum + us, 0), used };
  } finally {
    await stack.stop();
  }
}

const ratios = [];
for (const _ of upTo(turns)) {
  const [off, on] = [await costOfMessage({ reading: false }), await costOfMessage({ reading: true })];
  ratios.push((on.total - off.total) / off.total);
  const parts = on.used.map(([kind, us], i) => `${kind} ${off.used[i][1].toFixed(0)} → ${us.toFixed(0)}`);
  console.log(`a message ${off.total.toFixed(0)} µs, with its receipt ${on.total.toFixed(0)} µs (${parts.join(', ')})`);
}
const median = ratios.toSorted((a, b) => a - b)[Math.floor(ratios.length / 2)];
console.log(`a receipt costs ${median.toFixed(2)} of a message (median of ${turns})`);

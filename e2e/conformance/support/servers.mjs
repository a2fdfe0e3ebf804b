// The two servers that are compared, npm's and ours, each a child on a free port.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** Our server for the suites. */
const CONFORMANCE = process.env.CONFORMANCE ?? 'target/release/examples/conformance';
const REFERENCE = fileURLToPath(new URL('reference.mjs', import.meta.url));

const PATHS = { eio: '/engine.io/', plain: '/socket.io/', sio: '/socket.io/' };
const START_LIMIT_MS = 20_000;

/** Starts both for a suite. `recovery` and `cors` (an origin) are for the suite plain. */
export async function startPair(suite, { recovery = false, cors = '' } = {}) {
  const flags = [...(recovery ? ['--recovery'] : []), ...(cors ? ['--cors', cors] : [])];
  const children = [
    start([process.execPath, REFERENCE, suite, JSON.stringify({ recovery, cors })]),
    start([CONFORMANCE, '--suite', suite, '--port', '0', ...flags]),
  ];
  const stop = () => children.forEach((child) => child.kill('SIGKILL'));
  try {
    const [reference, ours] = await Promise.all(children.map(printedPort));
    return { reference: { port: reference, path: PATHS[suite] }, ours: { port: ours, path: PATHS[suite] }, stop };
  } catch (error) {
    stop();
    throw error;
  }
}

/** A child that ends with this process, however that ends. */
function start(command) {
  return spawn('setpriv', ['--pdeathsig', 'KILL', ...command], { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function printedPort(child) {
  const [line] = await once(createInterface({ input: child.stdout }), 'line', {
    signal: AbortSignal.timeout(START_LIMIT_MS),
  });
  return Number(line);
}

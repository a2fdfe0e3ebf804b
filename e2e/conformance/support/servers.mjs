// The two servers that are compared, npm's and ours, each a child on a free port.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** Our server for the suites. */
const CONFORMANCE = process.env.CONFORMANCE ?? 'target/release/examples/conformance';
const REFERENCE = fileURLToPath(new URL('reference.mjs', import.meta.url));

const PATHS = { eio: '/engine.io/', plain: '/socket.io/', sio: '/socket.io/' };
const START_LIMIT_MS = 20_000;

/** Starts both for a suite. `recovery` and `cors` (an origin) are for the suite plain. */
export async function startPair(suite, { recovery = false, cors = '' } = {}) {
  const reference = start([process.execPath, REFERENCE, suite, JSON.stringify({ recovery, cors })]);
  const port = await freePort();
  const flags = [...(recovery ? ['--recovery'] : []), ...(cors ? ['--cors', cors] : [])];
  const ours = start([CONFORMANCE, '--suite', suite, '--port', String(port), ...flags]);
  const stop = () => [reference, ours].forEach((child) => child.kill('SIGKILL'));
  try {
    const [line] = await once(createInterface({ input: reference.stdout }), 'line', {
      signal: AbortSignal.timeout(START_LIMIT_MS),
    });
    await listening(ours, port);
    return { reference: { port: Number(line), path: PATHS[suite] }, ours: { port, path: PATHS[suite] }, stop };
  } catch (error) {
    stop();
    throw error;
  }
}

/** A child that ends with this process, however that ends. */
function start(command) {
  return spawn('setpriv', ['--pdeathsig', 'KILL', ...command], { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function listening(child, port) {
  const deadline = Date.now() + START_LIMIT_MS;
  while (!(await accepts(port))) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`${CONFORMANCE} does not listen`);
    await sleep(20);
  }
}

async function freePort() {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address();
  await once(server.close(), 'close');
  return port;
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket
      .once('error', () => resolve(false))
      .once('connect', () => {
        socket.destroy();
        resolve(true);
      });
  });
}

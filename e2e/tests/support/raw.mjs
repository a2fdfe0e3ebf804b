// What the official client itself would not send, on its own connection; and plain words to Redis and PostgreSQL.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { promisify } from 'node:util';
import { within } from './people.mjs';

// Far above the ids that the client gives itself, and which it therefore ignores.
let lastAckId = 1_000_000;

/** Sends an event whose array is given as JSON text; returns the ack. */
export function askRaw(socket, json) {
  const { engine } = socket.io;
  const id = (lastAckId += 1);
  const answered = new Promise((resolve) => {
    const listen = (data) => {
      if (typeof data !== 'string' || !data.startsWith(`3${id}[`)) return;
      engine.off('data', listen);
      resolve(JSON.parse(data.slice(`3${id}`.length))[0]);
    };
    engine.on('data', listen);
  });
  sendRaw(socket, `2${id}${json}`);
  return within(answered, `ack of ${json.slice(0, 80)}`);
}

/** Sends one Socket.IO packet as it is. */
export function sendRaw(socket, packet) {
  // The 4 of an Engine.IO message is the client's.
  socket.io.engine.send(packet);
}

/** Runs one command of Redis and returns the first line of its answer. */
export async function redis(stack, command) {
  const { hostname, port } = new URL(stack.manifest.redisUrl);
  const socket = connectTcp(Number(port), hostname);
  try {
    socket.write(`${command}\r\n`);
    const [answer] = await within(once(socket, 'data'), `answer of Redis to ${command}`);
    return answer.toString().split('\r\n')[0];
  } finally {
    socket.destroy();
  }
}

/** Runs a statement in chat-service's database. */
export async function sql(stack, statement) {
  const args = [
    '--no-psqlrc',
    '--quiet',
    '--tuples-only',
    '--no-align',
    '--set=ON_ERROR_STOP=1',
    '--command',
    statement,
  ];
  const { stdout } = await promisify(execFile)('psql', [...args, stack.manifest.databaseUrl]);
  return stdout.trim();
}

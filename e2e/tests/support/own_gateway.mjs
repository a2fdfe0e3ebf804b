// A gateway that is the test's own child: how it ends is seen, and its memory.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after } from 'node:test';
import { within } from './people.mjs';
import { LOCAL_STACK } from './stack.mjs';

/** One more gateway of a running stack; it ends with the test. */
export async function startGateway(stack, env = {}) {
  const { natsUrl, members } = stack.manifest;
  const replicas = (service) => members.filter(({ name }) => name.startsWith(service)).map(({ grpc }) => grpc).join(',');
  const child = spawn(join(dirname(LOCAL_STACK), 'gateway'), {
    env: {
      PATH: process.env.PATH,
      NO_COLOR: '1',
      LISTEN: '127.0.0.1:0',
      HEALTH_LISTEN: '127.0.0.1:0',
      PUBLIC_HEALTH: 'true',
      JWT_SECRET: stack.secret,
      NATS_URL: natsUrl,
      CHAT_SERVICE: replicas('chat-service'),
      MILESTONE_SERVICE: replicas('milestone-service'),
      SIGNALING_SERVICE: replicas('signaling-service'),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  after(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout });
  const log = [];
  const [address, health] = await within(
    new Promise((resolve) => {
      lines.on('line', (line) => {
        log.push(line);
        const [, ...found] = /started.*address=(\S+) health=(\S+)/.exec(line) ?? [];
        if (found.length > 0) resolve(found);
      });
    }),
    'start of a gateway',
  );
  const urls = { url: `http://${address}`, health: `http://${health}` };
  return { ...urls, pid: child.pid, log, exited, stop: () => child.kill('SIGTERM') };
}

/** The memory of a process that it shares with nobody, and its part of what it shares, in bytes. */
export function pss(pid) {
  const [, kilobytes] = /^Pss: +(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
  return Number(kilobytes) * 1024;
}

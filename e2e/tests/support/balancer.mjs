// A load balancer that knows nothing of sessions: each request may reach any gateway that says it is fit to serve.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { eventually } from './people.mjs';

/** HAProxy before all gateways of a stack for the tests around the call, which comes after that of the stack itself. */
export function useBalancer(stack) {
  const balancer = { url: undefined };
  let child;
  before(async () => {
    const port = await freePort();
    const config = join(stack.dir, 'haproxy.cfg');
    writeFileSync(config, configuration(stack.manifest.gateways, port));
    child = spawn('haproxy', ['-q', '-db', '-f', config], { stdio: ['ignore', 'ignore', 'inherit'] });
    balancer.url = `http://127.0.0.1:${port}`;
    await eventually(() => fetch(`${balancer.url}/readyz`).then(({ ok }) => ok, () => false), 'the balancer');
  });
  after(async () => {
    if (!child || child.exitCode !== null) return;
    child.kill();
    await once(child, 'exit');
  });
  return balancer;
}

function configuration(gateways, port) {
  const servers = gateways.map(
    ({ name, port }) => `  server ${name} 127.0.0.1:${port} check inter 200ms fall 1 rise 1`,
  );
  return [
    'defaults',
    '  mode http',
    '  timeout connect 1s',
    '  timeout client 60s',
    '  timeout server 60s',
    '  timeout tunnel 60s',
    // One that is gone refuses at once; one that is busy is not gone.
    '  timeout check 5s',
    '  option redispatch 1',
    'listen gateways',
    `  bind 127.0.0.1:${port}`,
    '  balance roundrobin',
    '  option httpchk GET /readyz',
    ...servers,
    '',
  ].join('\n');
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

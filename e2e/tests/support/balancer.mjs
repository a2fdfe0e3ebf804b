// A load balancer that knows nothing of sessions: each request may reach any gateway that says it is fit to serve.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { eventually } from './people.mjs';

/** How many connections may wait for HAProxy: all those of a test at once. */
const BACKLOG = 4096;

/** HAProxy before all gateways of a stack for the tests around the call, which comes after that of the stack itself. */
export function useBalancer(stack) {
  const balancer = { url: undefined };
  let child;
  before(async () => {
    const config = join(stack.dir, 'haproxy.cfg');
    writeFileSync(config, configuration(stack));
    // HAProxy cannot choose a port; it is given one that listens already, so that nobody can take it meanwhile.
    const listener = createServer().listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG });
    await once(listener, 'listening');
    balancer.url = `http://127.0.0.1:${listener.address().port}`;
    child = spawn('haproxy', ['-q', '-db', '-f', config], {
      stdio: ['ignore', 'ignore', 'inherit', listener._handle.fd],
    });
    listener.close();
    await eventually(() => fetch(`${balancer.url}/readyz`).then(({ ok }) => ok, () => false), 'the balancer');
  });
  after(async () => {
    if (!child || child.exitCode !== null) return;
    child.kill();
    await once(child, 'exit');
  });
  return balancer;
}

function configuration(stack) {
  const servers = stack.manifest.gateways.map(({ name, port }) => {
    const { port: health } = new URL(stack.member(name).health);
    return `  server ${name} 127.0.0.1:${port} check port ${health} inter 200ms fall 1 rise 1`;
  });
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
    '  bind fd@3',
    '  balance roundrobin',
    '  option httpchk GET /readyz',
    ...servers,
    '',
  ].join('\n');
}

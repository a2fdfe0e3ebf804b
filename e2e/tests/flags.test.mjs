// What an operator gets wrong: one clear line, and an exit that is no success.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, test } from 'node:test';
import { LOCAL_STACK, useStack } from './support/stack.mjs';

describe('a service that is started', () => {
  const bin = dirname(LOCAL_STACK);

  function assertOneLine(program, args, pattern) {
    const { status, stderr, stdout } = spawnSync(join(bin, program), args, {
      encoding: 'utf8',
      timeout: 20_000,
      env: { PATH: process.env.PATH },
    });
    assert.ok(status > 0, `${program} ${args}: ${status}`);
    assert.match(stderr, pattern, program);
    assert.equal(stderr.trim().split('\n').length, 1, stderr);
    return { stderr, stdout };
  }

  test('with a bad flag says so and does not start', () => {
    for (const program of ['gateway', 'chat-service', 'milestone-service', 'signaling-service']) {
      assertOneLine(program, ['--no-such-flag'], /unexpected argument '--no-such-flag'/);
    }
    assertOneLine('gateway', ['--limit-sends', 'fast'], /limit-sends/);
    assertOneLine('gateway', [], /key|secret/i);
    const jwt = ['--jwt-secret', 'x'.repeat(32)];
    for (const weak of ['changeme', 'x'.repeat(31), `${'x'.repeat(32)},changeme`, ',']) {
      const { stderr, stdout } = assertOneLine('gateway', [...jwt, '--sid-keys', weak], /--sid-keys: .*(32 bytes|at least one)/);
      if (weak.length > 1) assert.ok(!(stderr + stdout).includes(weak), 'a secret is not repeated');
    }
    const url = ['--jwks-url', 'https://keys.example/jwks'];
    for (const some of [[], ['--jwt-issuer', 'me'], ['--jwt-audience', 'us'], ['--jwt-issuer', '', '--jwt-audience', '']]) {
      assertOneLine('gateway', [...url, ...some], /--jwks-url needs --jwt-issuer and --jwt-audience/);
    }
    assertOneLine('gateway', [...jwt, '--jwt-max-lifetime', 'long'], /jwt-max-lifetime/);
    assertOneLine('chat-service', ['--database-url', 'postgres://x', '--revocation-retention', '0'], /revocation-retention/);
    assertOneLine('signaling-service', ['--ring-timeout-s', '0'], /ring-timeout-s/);
  });

  test('with a typo in its milestone file says where and does not start', (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'milestones-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const file = join(dir, 'typo.yaml');
    writeFileSync(file, 'milestones:\n  - id: hundred\n    mesages: 100\n');
    const { stderr } = assertOneLine(
      'milestone-service',
      ['--milestones-file', file, '--health-listen', '127.0.0.1:0', '--grpc-listen', '127.0.0.1:0'],
      /mesages/,
    );
    assert.equal(stderr.trim().split('\n').length, 1, stderr);
    assert.match(stderr, /line 3/);
    assertOneLine('milestone-service', ['--milestones-file', join(dir, 'absent.yaml')], /absent\.yaml/);
  });
});

describe('a program for developers', () => {
  const CONFORMANCE = process.env.CONFORMANCE ?? 'target/release/examples/conformance';

  test('refuses a variable for the services that is none, or that each process has of its own', () => {
    for (const given of ['NO_VALUE', '=x', 'A-B=x', 'LISTEN=0.0.0.0:80']) {
      const { status, stderr } = spawnSync(LOCAL_STACK, ['run', '--env', given], { encoding: 'utf8', timeout: 20_000 });
      assert.equal(status, 2, stderr);
      assert.match(stderr.split('\n')[0], /^error: invalid value .* for '--env/);
    }
  });

  describe('that starts a stack', () => {
    const stack = useStack({ gateways: 1, replicas: 1, env: { CORS_ORIGINS: 'https://app.example' } });

    test('gives the services the variables of the developer, also where it has a setting of its own', async () => {
      const allowed = async (origin) => {
        const answer = await fetch(`${stack.url(0)}/api/v1/matches`, { headers: { origin } });
        return answer.headers.get('access-control-allow-origin');
      };
      assert.equal(await allowed('https://app.example'), 'https://app.example');
      assert.equal(await allowed('http://localhost:3000'), null);
    });
  });

  test('for conformance suites listens on this machine alone', async (t) => {
    const child = spawn(CONFORMANCE, ['--suite', 'plain', '--port', '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
    t.after(() => child.kill('SIGKILL'));
    const [port] = await once(createInterface({ input: child.stdout }), 'line');
    const reaches = (host) =>
      new Promise((resolve) => {
        const socket = connect({ host, port: Number(port) });
        socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
        t.after(() => socket.destroy());
      });
    assert.equal(await reaches('127.0.0.1'), true);
    const addresses = Object.values(networkInterfaces()).flat();
    const others = addresses.filter(({ internal, family }) => !internal && family === 'IPv4');
    // 127.0.0.2 is another address of this machine, which a server on all of them would answer, too.
    const all = [...others.map(({ address }) => address), '127.0.0.2'];
    for (const address of all) assert.equal(await reaches(address), false, address);
  });
});

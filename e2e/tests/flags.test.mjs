// What an operator gets wrong: one clear line, and an exit that is no success.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { LOCAL_STACK } from './support/stack.mjs';

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

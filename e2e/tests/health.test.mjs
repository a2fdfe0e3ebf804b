// Health and metrics have a port of their own, which clients neither see nor exhaust.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import { startGateway } from './support/own_gateway.mjs';
import { eventually, upTo } from './support/people.mjs';
import { useStack } from './support/stack.mjs';

const PATHS = ['/healthz', '/readyz', '/metrics'];

/** The status of a raw request. */
async function statusOf(url, request) {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.write(request);
  const [data] = await once(socket, 'data');
  socket.destroy();
  return Number(data.toString().split(' ')[1]);
}

describe('the health port of a gateway', () => {
  const stack = useStack({ gateways: 1, replicas: 1 });

  test('alone answers probes, unless the clients’ port is told to', async () => {
    for (const [PUBLIC_HEALTH, status] of [
      ['false', 404],
      ['true', 200],
    ]) {
      const gateway = await startGateway(stack, { PUBLIC_HEALTH });
      await eventually(async () => (await fetch(`${gateway.health}/readyz`)).status === 200, 'fit');
      for (const path of PATHS) {
        assert.equal((await fetch(gateway.health + path)).status, 200, path);
        const answer = await fetch(gateway.url + path);
        assert.equal(answer.status, status, path);
        if (status === 404) assert.equal(answer.headers.get('content-type'), 'application/problem+json');
      }
      for (const path of ['/socket.io/?EIO=4&transport=polling', '/api/v1/matches', '/openapi.json'])
        assert.equal((await fetch(gateway.health + path)).status, 404, path);
    }
  });

  test('answers while others hold connections to it open', async () => {
    const { health } = await startGateway(stack);
    const { hostname, port } = new URL(health);
    const idle = upTo(200).map(() => connect(Number(port), hostname).on('error', () => {}));
    await Promise.all(idle.map((socket) => once(socket, 'connect')));
    const began = Date.now();
    assert.equal((await fetch(`${health}/healthz`)).status, 200);
    assert.ok(Date.now() - began < 3_000, `${Date.now() - began} ms`);
    for (const socket of idle) socket.destroy();
  });

  test('and the clients’ port demand that a request says once whom it is for', async () => {
    const { health, url } = await startGateway(stack);
    for (const base of [health, url]) {
      for (const [head, status] of [
        ['GET /healthz HTTP/1.1\r\nHost: localhost', 200],
        ['GET /healthz HTTP/1.0', 200],
        ['GET /healthz HTTP/1.1', 400],
        ['GET /healthz HTTP/1.1\r\nHost: a\r\nHost: a', 400],
        ['GET /healthz HTTP/1.1\r\nHost: a b', 400],
      ])
        assert.equal(await statusOf(base, `${head}\r\n\r\n`), status, `${base} ${head}`);
    }
  });

  test('what the API answers is for no cache', async () => {
    for (const path of ['/api/v1/matches', '/api/v1/nowhere']) {
      const answer = await fetch(stack.url(0) + path);
      assert.equal(answer.headers.get('cache-control'), 'no-store', path);
    }
  });
});

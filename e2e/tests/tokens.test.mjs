// Tokens: whose are taken, and what a revocation does to them, to the second and on every gateway.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp, createServer } from 'node:net';
import { after, describe, test } from 'node:test';
import { startGateway } from './support/own_gateway.mjs';
import { useStack } from './support/stack.mjs';
import { ask, connect, eventually, newMatch, next, now, rest, serviceToken, sign, socketOf, userToken } from './support/people.mjs';

const GATEWAYS = [0, 1];
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

describe('tokens', { concurrency: true }, () => {
  const stack = useStack({ replicas: 1 });

  const someone = () => `u-${randomUUID()}`;
  const issued = (user, iat, claims = {}) => userToken(stack, user, { iat, exp: Math.ceil(iat) + 600, ...claims });
  const status = async (token, gateway) => (await rest(stack, 'GET', '/matches', { token, gateway })).status;
  const everywhere = (token) => Promise.all(GATEWAYS.map((gateway) => status(token, gateway)));
  const revoke = (user, options = {}) => rest(stack, 'POST', `/users/${user}/revoke`, { token: serviceToken(stack), ...options });
  const seconds = (time) => Date.parse(time) / 1000;

  async function refusedEverywhere(token, what) {
    await eventually(async () => (await everywhere(token)).every((code) => code === 401), what, 1_000);
  }

  test('a user who signs in right after a revocation has a token that is taken everywhere and stays so', async () => {
    // Begun at different moments of a second.
    await Promise.all(
      [0, 150, 350, 550, 750, 950].map(async (begin) => {
        await sleep(begin);
        const user = someone();
        const old = issued(user, now());
        const [device] = await Promise.all([connect(stack, user, { auth: { token: old }, reconnection: false }), everywhere(old)]);
        const cut = once(device, 'disconnect');
        const answer = await revoke(user);
        assert.equal(answer.status, 200, answer.text);
        assert.equal(seconds(answer.json.notBefore) % 1, 0);
        const fresh = issued(user, now());
        const sockets = await Promise.all(GATEWAYS.map((gateway) => connect(stack, user, { gateway, auth: { token: fresh }, reconnection: false })));
        assert.deepEqual(await everywhere(fresh), [200, 200]);
        await cut;
        await refusedEverywhere(old, 'the old token is refused');
        await sleep(1_500);
        assert.deepEqual(await everywhere(fresh), [200, 200]);
        assert.deepEqual(await everywhere(old), [401, 401]);
        for (const socket of sockets) assert.ok(socket.connected);
      }),
    );
  });

  test('a revocation by the issuer’s clock refuses what was issued before it, to the millisecond', async () => {
    const base = now() - 100;
    for (const [given, at] of [
      [new Date(base * 1000 + 250).toISOString(), base + 0.25],
      [base + 0.25, base + 0.25],
      [base, base],
    ]) {
      const user = someone();
      const [earlier, equal, later] = [at - 0.001, at, at + 0.001].map((iat) => issued(user, Number(iat.toFixed(3))));
      const device = await connect(stack, user, { gateway: 1, auth: { token: earlier }, reconnection: false });
      const other = await connect(stack, user, { gateway: 0, auth: { token: equal }, reconnection: false });
      const cut = Promise.all([device, other].map((socket) => once(socket, 'disconnect')));
      const answer = await revoke(user, { body: { notBefore: given } });
      assert.deepEqual(answer.json, { userId: user, notBefore: new Date(Math.round(at * 1000)).toISOString() });
      await refusedEverywhere(earlier, `${given}: the earlier token is refused`);
      for (const token of [equal, later]) assert.deepEqual(await everywhere(token), [200, 200], `${given}`);
      await cut;
    }
  });

  test('an issuer whose clock is ahead names a later time, which no other revocation lowers', async () => {
    const user = someone();
    const later = new Date((now() + 4) * 1000).toISOString();
    assert.equal((await revoke(user, { body: { notBefore: later } })).json.notBefore, later);
    for (const body of [undefined, {}, { notBefore: '2020-01-01T00:00:00+02:00' }]) {
      assert.equal((await revoke(user, { body })).json.notBefore, later);
    }
    await refusedEverywhere(issued(user, seconds(later) - 1), 'a token of before');
    assert.deepEqual(await everywhere(issued(user, seconds(later))), [200, 200]);
  });

  test('a revocation needs no body, and a bad one is refused', async () => {
    const raw = (body, headers = {}) =>
      fetch(`${stack.url(0)}/api/v1/users/${someone()}/revoke`, {
        method: 'POST',
        headers: { authorization: `Bearer ${serviceToken(stack)}`, ...headers },
        body,
      });
    const taken = [[undefined], [Buffer.from('')], [Buffer.from('{}')], [Buffer.from(' \n')], ['{"notBefore":null}', { 'content-type': 'application/json' }]];
    for (const answer of await Promise.all(taken.map(([body, headers]) => raw(body, headers)))) assert.equal(answer.status, 200);
    const far = new Date(Date.now() + 25 * 3_600_000).toISOString();
    const bad = ['now', '', far, Date.now(), -1, true, [], {}, '2026-01-01', '2026-01-01T00:00:00'].map((notBefore) => JSON.stringify({ notBefore }));
    for (const body of [...bad, '[]', '"x"', 'x', '{"notBefore":1,"notBefore":2}', `{"notBefore":${'9'.repeat(400)}}`]) {
      const answer = await raw(body, { 'content-type': 'application/json' });
      assert.deepEqual([answer.status, (await answer.json()).code], [400, 'INVALID_PAYLOAD'], body);
    }
    assert.equal((await raw('x'.repeat(70_000))).status, 413);
  });

  test('service tokens are revoked by their name', async () => {
    const service = (claims) => sign({ scope: 'service', iat: now() - 1, exp: now() + 600, ...claims }, stack.secret);
    const works = async (token) => {
      const all = await Promise.all(GATEWAYS.map((gateway) => rest(stack, 'DELETE', '/matches/none', { token, gateway })));
      return all.every(({ status }) => status === 404);
    };
    const refused = async (token) => {
      const all = await Promise.all(GATEWAYS.map((gateway) => rest(stack, 'DELETE', '/matches/none', { token, gateway })));
      return all.every(({ status, json }) => status === 401 && json.code === 'UNAUTHENTICATED');
    };
    const name = `crm-${randomUUID()}`;
    const [stolen, another] = [service({ sub: name }), service({ sub: someone() })];
    assert.ok((await works(stolen)) && (await works(another)));
    // It may revoke itself.
    const answer = await revoke(name, { token: stolen });
    assert.equal(answer.status, 200, answer.text);
    await eventually(() => refused(stolen), 'it is refused', 1_000);
    assert.ok((await works(another)) && (await works(service({ sub: name, iat: now() }))));
  });

  test('a token may come with its scheme before it', async () => {
    const user = someone();
    const match = await newMatch(stack, [user, someone()]);
    const token = issued(user, now());
    for (const prefix of ['Bearer ', 'bearer ', 'BEARER   ']) {
      const socket = await connect(stack, user, { auth: { token: prefix + token }, reconnection: false });
      assert.ok((await ask(socket, 'refresh_token', { token: prefix + token })).ok);
      assert.equal((await ask(socket, 'refresh_token', { token: `Basic ${token}` })).error.code, 'UNAUTHENTICATED');
      const path = `/matches/${match.id}`;
      assert.equal((await rest(stack, 'GET', path, { headers: { authorization: prefix + token } })).status, 200);
      socket.disconnect();
    }
    for (const bad of [`Basic ${token}`, `Bearer${token}`, 'Bearer', 'Bearer ', `Bearer Bearer ${token}`]) {
      const socket = socketOf(stack, user, { auth: { token: bad }, reconnection: false });
      assert.equal((await next(socket, 'connect_error')).data.code, 'UNAUTHENTICATED', bad);
    }
  });

  test('a token that lives for too long is refused', async () => {
    const user = someone();
    const [longest, longer] = [0, 1].map((more) => issued(user, now(), { exp: now() + 30 * 24 * 3600 + more }));
    assert.deepEqual(await everywhere(longest), [200, 200]);
    assert.deepEqual(await everywhere(longer), [401, 401]);
    const socket = socketOf(stack, user, { auth: { token: longer }, reconnection: false });
    assert.equal((await next(socket, 'connect_error')).data.code, 'UNAUTHENTICATED');
  });

  test('a gateway that demands an issuer and an audience takes no token of another application', async () => {
    const [secret, older] = [randomUUID(), randomUUID()].map((id) => `${id}${id}`);
    const env = { JWT_SECRET: `${secret},${older}`, JWT_ISSUER: 'https://issuer.example', JWT_AUDIENCE: 'chat', JWT_MAX_LIFETIME: '1h' };
    const gateway = await startGateway(stack, env);
    const user = someone();
    const claims = { sub: user, iss: 'https://issuer.example', aud: ['chat', 'mail'], iat: now(), exp: now() + 3600 };
    const answer = async (change, key = secret) => {
      const authorization = `Bearer ${sign({ ...claims, ...change }, key)}`;
      return (await fetch(`${gateway.url}/api/v1/matches`, { headers: { authorization } })).status;
    };
    assert.equal(await answer({}), 200);
    assert.equal(await answer({ aud: 'chat' }, older), 200);
    const foreign = [{ iss: undefined }, { iss: 'https://issuer.example/' }, { aud: undefined }, { aud: 'mail' }, { aud: [] }, { exp: now() + 3601 }];
    for (const change of foreign) assert.equal(await answer(change), 401, JSON.stringify(change));
    assert.equal(await answer({ aud: 'mail', scope: 'service' }), 401);
    assert.equal(await answer({}, `${secret}x`), 401);
    const said = (text) => gateway.log.filter((line) => line.includes(text)).length;
    for (const flag of ['--jwt-issuer', '--jwt-audience', '--jwt-max-lifetime']) assert.equal(said(flag), 1, flag);
    const socket = await connect(stack, user, { url: gateway.url, auth: { token: sign(claims, older) } });
    socket.disconnect();
  });

  test('a gateway that cannot hear of revocations takes no token within a second', async () => {
    const chat = useProxy(stack.member('chat-service-0').grpc);
    const gateway = await startGateway(stack, { CHAT_SERVICE: await chat.address });
    const user = someone();
    const old = issued(user, now());
    const answer = async (token) => (await fetch(`${gateway.url}/api/v1/matches`, { headers: { authorization: `Bearer ${token}` } })).status;
    await eventually(async () => (await answer(old)) === 200, 'the gateway is ready');
    const device = await connect(stack, user, { url: gateway.url, auth: { token: old }, reconnection: false });
    chat.pause();
    const revoked = await revoke(user);
    await sleep(1_000);
    assert.equal(await answer(old), 503);
    assert.equal(await answer(issued(someone(), now())), 503, 'whoever comes');
    const cut = once(device, 'disconnect');
    chat.resume();
    await cut;
    await eventually(async () => (await answer(old)) === 401, 'it is refused');
    assert.equal(await answer(issued(user, Math.max(now(), seconds(revoked.json.notBefore)))), 200);
  });
});

/** A way to a server that can be stopped, so that what it carries waits. */
function useProxy(target) {
  const [host, port] = target.split(':');
  const pairs = new Set();
  let paused = false;
  const server = createServer((client) => {
    const upstream = connectTcp(Number(port), host);
    const pair = [client, upstream];
    pairs.add(pair);
    for (const [from, to] of [pair, pair.toReversed()]) {
      from.on('data', (data) => to.write(data));
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
      if (paused) from.pause();
    }
  });
  server.listen(0, '127.0.0.1');
  after(() => {
    server.close();
    for (const socket of [...pairs].flat()) socket.destroy();
  });
  const all = (change) => {
    for (const socket of [...pairs].flat()) change(socket);
  };
  return {
    address: once(server, 'listening').then(() => `127.0.0.1:${server.address().port}`),
    pause: () => all((socket) => socket.pause(), (paused = true)),
    resume: () => all((socket) => socket.resume(), (paused = false)),
  };
}

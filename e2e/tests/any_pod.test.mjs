// Four gateways behind a load balancer that knows nothing of sessions: each request may reach any of them.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';
import { useBalancer } from './support/balancer.mjs';
import { useStack } from './support/stack.mjs';
import { connected, done, eventually, newMatch, seen, socketOf } from './support/people.mjs';

const TRANSPORTS = [['polling'], ['websocket'], ['polling', 'websocket']];

describe('any pod', () => {
  const stack = useStack({ gateways: 4, replicas: 1 });
  const balancer = useBalancer(stack);

  const behind = (user, options) => socketOf(stack, user, { url: balancer.url, ...options });

  for (const transports of TRANSPORTS) {
    test(`a chat over ${transports.join(' and ')} keeps its order`, async () => {
      const match = await newMatch(stack);
      const [alice, bob] = match.members.map((user) => behind(user, { transports }));
      await Promise.all([alice, bob].map(connected));
      await Promise.all([alice, bob].map((socket) => done(socket, 'join_chat', match.id)));
      const texts = Array.from({ length: 30 }, (_, i) => `m${i}`);
      await Promise.all(texts.map((message) => done(alice, 'send_message', { matchId: match.id, message })));
      await eventually(() => seen(bob, 'receive_message').length === texts.length, 'all messages');
      assert.deepEqual(seen(bob, 'receive_message').map(({ message }) => message), texts);
      assert.deepEqual(seen(bob, 'receive_message').map(({ seq }) => seq), texts.map((_, i) => i + 1));
      if (transports.length === 2) await eventually(() => bob.io.engine.transport.name === 'websocket', 'the upgrade');
    });
  }

  test('a hundred clients of every kind at once', async () => {
    const match = await newMatch(stack);
    const sockets = Array.from({ length: 100 }, (_, i) => behind(match.members[i % 2], { transports: TRANSPORTS[i % 3] }));
    await Promise.all(sockets.map(connected));
    await Promise.all(sockets.map((socket) => done(socket, 'join_chat', match.id)));
    await done(sockets[0], 'send_message', { matchId: match.id, message: 'to all' });
    await eventually(() => sockets.slice(1).every((socket) => seen(socket, 'receive_message').length === 1), 'the message everywhere');
    assert.deepEqual(seen(sockets[0], 'receive_message'), []);
    for (const socket of sockets) socket.disconnect();
  });

  test('a forged session id reaches nobody', async () => {
    const target = createServer().listen(0, '127.0.0.1');
    await once(target, 'listening');
    let reached = false;
    target.on('connection', () => (reached = true));
    // Where the address would stand if it were not encrypted, before and behind a nonce and a time.
    for (const [length, at] of [[30, 0], [42, 0], [42, 12], [42, 20]]) {
      const forged = Buffer.alloc(length, 1);
      forged.set([127, 0, 0, 1], at);
      forged.writeUInt16BE(target.address().port, at + 4);
      const query = `EIO=4&transport=polling&sid=${forged.toString('base64url')}`;
      const answer = await fetch(`${stack.url(0)}/socket.io/?${query}`);
      assert.deepEqual([answer.status, (await answer.json()).code], [400, 1]);
    }
    target.close();
    assert.equal(reached, false);
  });

  test('a session id tells nobody where its gateway is', async () => {
    const ports = stack.manifest.gateways.map(({ port }) => port);
    for (let i = 0; i < 20; i++) {
      const handshake = await fetch(`${balancer.url}/socket.io/?EIO=4&transport=polling`);
      const { sid } = JSON.parse((await handshake.text()).slice(1));
      assert.match(sid, /^[A-Za-z0-9_-]{20,120}$/);
      const bytes = Buffer.from(sid, 'base64url');
      assert.ok(!bytes.includes(Buffer.from([127, 0, 0, 1])), sid);
      const asNumbers = Array.from({ length: bytes.length - 1 }, (_, at) => bytes.readUInt16BE(at));
      const found = asNumbers.filter((number) => ports.includes(number));
      // One may be there by chance, and not again and again.
      assert.ok(found.length <= 1, sid);
    }
  });

  test('a session whose owner died is unknown within a second, and recovery takes over', async () => {
    const match = await newMatch(stack);
    const [alice, bob] = match.members.map((user) => behind(user, { transports: ['polling'] }));
    await Promise.all([alice, bob].map(connected));
    await Promise.all([alice, bob].map((socket) => done(socket, 'join_chat', match.id)));
    const sid = alice.io.engine.id;
    const { gateways } = stack.manifest;
    const owner = await ownerOf(sid, gateways);
    const other = gateways.find(({ port }) => port !== owner.port);
    await stack.control('kill', owner.name);
    const began = Date.now();
    const unknown = await fetch(`${other.url}/socket.io/?EIO=4&transport=polling&sid=${sid}`);
    assert.deepEqual([unknown.status, (await unknown.json()).code], [400, 1]);
    assert.ok(Date.now() - began < 1_500);
    await eventually(() => alice.connected && alice.io.engine.id !== sid, 'another session');
    assert.equal(alice.recovered, true);
    await done(alice, 'send_message', { matchId: match.id, message: 'still here' });
    await eventually(() => seen(bob, 'receive_message').length === 1, 'the message');
    await stack.control('start', owner.name);
  });
});

/** The gateway that knows a session by itself: a request that seems to have been passed on already stays where it is. */
async function ownerOf(sid, gateways) {
  const pong = { method: 'POST', body: '3', headers: { 'content-type': 'text/plain', 'x-forwarded-by-gateway': '1' } };
  for (const gateway of gateways) {
    const answer = await fetch(`${gateway.url}/socket.io/?EIO=4&transport=polling&sid=${sid}`, pong);
    if (answer.ok) return gateway;
  }
  throw new Error('no gateway knows the session');
}

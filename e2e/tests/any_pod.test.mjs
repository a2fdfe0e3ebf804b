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
    const forged = Buffer.alloc(30, 1);
    forged.set([127, 0, 0, 1]);
    forged.writeUInt16BE(target.address().port, 4);
    const query = `EIO=4&transport=polling&sid=${forged.toString('base64url')}`;
    const answer = await fetch(`${stack.url(0)}/socket.io/?${query}`);
    assert.deepEqual([answer.status, (await answer.json()).code], [400, 1]);
    target.close();
    assert.equal(reached, false);
  });

  test('a session whose owner died is unknown within a second, and recovery takes over', async () => {
    const match = await newMatch(stack);
    const [alice, bob] = match.members.map((user) => behind(user, { transports: ['polling'] }));
    await Promise.all([alice, bob].map(connected));
    await Promise.all([alice, bob].map((socket) => done(socket, 'join_chat', match.id)));
    const sid = alice.io.engine.id;
    const { gateways } = stack.manifest;
    const owner = gateways.find(({ port }) => port === ownerPort(sid));
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

/** The id of a session names its owner: four bytes of address, two of port. */
function ownerPort(sid) {
  return Buffer.from(sid, 'base64url').readUInt16BE(4);
}

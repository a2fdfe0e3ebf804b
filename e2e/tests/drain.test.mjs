// A gateway that is asked to stop sends its clients elsewhere, a few at a time, and ends in good order.
import assert from 'node:assert/strict';
import { createConnection } from 'node:net';
import { describe, test } from 'node:test';
import { useBalancer } from './support/balancer.mjs';
import { CROWD_LIMITS, gather } from './support/crowd.mjs';
import { connected, done, eventually, newMatch, pause, seen, sendReliably, socketOf, upTo, within } from './support/people.mjs';
import { startGateway } from './support/own_gateway.mjs';
import { useStack } from './support/stack.mjs';

const WINDOW_S = 2;
/** For two busy cores. */
const SLACK_MS = 2_000;

const STOPPING = 'gateway-0';
/** Through which gateway a session is begun, which owns it then, and through which one its other requests come. */
const WAYS = [
  { owner: 0, through: 0 },
  { owner: 0, through: 1 },
  { owner: 1, through: 0 },
];
const TRANSPORTS = [['polling'], ['polling', 'websocket']];
const OF_EACH_KIND = 4;

describe('a gateway that is asked to stop', () => {
  // Many devices of one user on one gateway, who all join at once.
  const crowded = { MAX_USER_SOCKETS: 100, LIMIT_JOINS: '100/100' };
  const stack = useStack({ gateways: 4, replicas: 2, env: { DRAIN_WINDOW_S: WINDOW_S, ...CROWD_LIMITS, ...crowded } });
  const balancer = useBalancer(stack);

  /** A client with a session of `owner` whose other requests come through another gateway; later ones go to gateway 1. */
  async function client(user, { owner, through }, transports) {
    const socket = socketOf(stack, user, { gateway: owner, transports, reconnectionDelay: 50, reconnectionDelayMax: 500 });
    const { engine } = socket.io;
    engine.once('handshake', () => {
      const { port } = stack.manifest.gateways[through];
      // Of the transport that it has, and of the one that it upgrades to.
      engine.transport.opts.port = port;
      engine.port = port;
    });
    await connected(socket);
    await eventually(() => engine.transport.name === transports.at(-1), `the transport ${transports.at(-1)}`);
    socket.io.uri = stack.url(1);
    return socket;
  }

  /** When and how the socket loses its connection. */
  const loss = (socket) =>
    new Promise((resolve) => socket.once('disconnect', (reason) => resolve({ reason, at: Date.now() })));

  test('is unfit at once, tells and closes its own clients and others over the window, and ends well', async () => {
    const match = await newMatch(stack);
    const kinds = WAYS.flatMap((way) => TRANSPORTS.map((transports) => ({ way, transports })));
    const clients = await Promise.all(
      upTo(OF_EACH_KIND * kinds.length).map(async (i) => {
        const { way, transports } = kinds[i % kinds.length];
        return { way, transports, socket: await client(match.bob, way, transports) };
      }),
    );
    const sockets = clients.map(({ socket }) => socket);
    await Promise.all(sockets.map((socket) => done(socket, 'join_chat', match.id)));

    const losses = Promise.all(
      clients.map(({ way, transports, socket }) =>
        within(loss(socket), `loss of ${transports} of ${way.owner} through ${way.through}`),
      ),
    );
    const began = Date.now();
    const logged = stack.log(STOPPING).length;
    const { health } = stack.member(STOPPING);
    const stopped = stack.control('stop', STOPPING);
    await eventually(async () => (await fetch(`${health}/readyz`)).status === 503, 'unfit');
    assert.ok(Date.now() - began < WINDOW_S * 500, 'long before the window is over');

    const lost = await losses;
    for (const { reason } of lost) assert.match(reason, /^transport/, 'no DISCONNECT packet, which would be for good');
    const times = lost.map(({ at }) => at - began);
    assert.ok(Math.max(...times) < WINDOW_S * 1_000 + SLACK_MS, `the last after ${Math.max(...times)} ms`);
    const halves = [times.filter((time) => time < WINDOW_S * 500), times.filter((time) => time >= WINDOW_S * 500)];
    for (const half of halves) assert.ok(half.length >= OF_EACH_KIND, `spread over the window: ${times}`);
    for (const { way, socket } of clients) {
      const told = seen(socket, 'server_draining');
      assert.deepEqual(told, way.owner === 0 ? [{ reconnectAfterMs: WINDOW_S * 1_000 }] : []);
    }

    await stopped;
    assert.ok(Date.now() - began < WINDOW_S * 1_000 + 2 * SLACK_MS, `ended after ${Date.now() - began} ms`);
    // It says so when something was unfinished, and only then its exit is no success.
    const said = stack.log(STOPPING).slice(logged);
    assert.match(said, /stopping/);
    assert.doesNotMatch(said, /unfinished|cut off|panicked/);

    await Promise.all(sockets.map(connected));
    for (const socket of sockets) assert.equal(socket.recovered, true);
    const alice = socketOf(stack, match.alice, { gateway: 1 });
    await connected(alice);
    await sendReliably(alice, match.id, 'still here');
    await eventually(() => sockets.every((socket) => seen(socket, 'receive_message').length >= 1), 'the message');
    await pause(200);
    for (const socket of sockets) assert.equal(seen(socket, 'receive_message').length, 1);
    await stack.control('start', STOPPING);
  });

  test('exits with success, with connections or without', async () => {
    for (const count of [0, 6]) {
      const gateway = await startGateway(stack, { DRAIN_WINDOW_S: 1 });
      const match = await newMatch(stack);
      const sockets = upTo(count).map((i) =>
        socketOf(stack, match.alice, { url: gateway.url, transports: TRANSPORTS[i % TRANSPORTS.length] }),
      );
      await Promise.all(sockets.map(connected));
      await Promise.all(sockets.map((socket) => done(socket, 'join_chat', match.id)));
      gateway.stop();
      assert.deepEqual(await within(gateway.exited, 'exit'), [0, null], gateway.log.join('\n'));
      for (const socket of sockets) socket.disconnect();
    }
  });

  test('exits with success within its time, however long the window is meant to be', async () => {
    for (const [timeout, window] of [[3, 3], [2, 30], [3, 0]]) {
      const gateway = await startGateway(stack, { DRAIN_WINDOW_S: window, SHUTDOWN_TIMEOUT_S: timeout });
      const match = await newMatch(stack);
      const sockets = upTo(6).map((i) =>
        socketOf(stack, match.alice, { url: gateway.url, transports: TRANSPORTS[i % TRANSPORTS.length] }),
      );
      await Promise.all(sockets.map(connected));
      // A request that never comes to its end.
      const { port } = new URL(gateway.url);
      const half = createConnection(Number(port), '127.0.0.1');
      half.on('error', () => {});
      half.write('POST /api/v1/matches/m/messages HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n{');
      const began = Date.now();
      gateway.stop();
      gateway.stop();
      const told = `${timeout} s, window ${window} s: ${gateway.log.join('\n')}`;
      assert.deepEqual(await within(gateway.exited, 'exit'), [0, null], told);
      assert.ok(Date.now() - began < timeout * 1_000 + 1_000, `${Date.now() - began} ms, ${told}`);
      half.destroy();
      for (const socket of sockets) socket.disconnect();
    }
  });

  test('tells so on its health port to the very end', async () => {
    const gateway = await startGateway(stack, { DRAIN_WINDOW_S: 2, SHUTDOWN_TIMEOUT_S: 5 });
    const match = await newMatch(stack);
    await connected(socketOf(stack, match.alice, { url: gateway.url, reconnection: false }));
    let last;
    let isOver = false;
    gateway.exited.then(() => (isOver = true));
    gateway.stop();
    while (!isOver) {
      const answer = await fetch(`${gateway.health}/readyz`).catch(() => undefined);
      if (answer) last = [answer.status, await answer.text(), Date.now()];
      await pause(20);
    }
    const ended = Date.now();
    assert.equal(last[0], 503);
    assert.match(last[1], /draining/);
    assert.ok(ended - last[2] < 1_000, `silent for its last ${ended - last[2]} ms`);
  });

  test('as one after the other behind a load balancer loses no message and fails no send, and everybody recovers', async () => {
    const crowd = await gather(stack, { url: balancer.url });
    crowd.talk();
    try {
      await crowd.goesOn();
      for (const { name } of stack.manifest.gateways) {
        await stack.control('stop', name);
        await stack.control('start', name);
        await eventually(() => stack.isReady(name), `${name} is fit`);
        await crowd.goesOn();
      }
    } finally {
      await crowd.hush();
    }
    await crowd.isBack();
    await crowd.assertComplete();
    assert.ok(crowd.comebacks().every((count) => count > 0 && count < 20), `came back: ${crowd.comebacks()}`);
  });
});

// One account cannot use a gateway up: its sockets, what it reads, what it floods, and the memory that it leaves.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { describe, test } from 'node:test';
import { startGateway } from './support/own_gateway.mjs';
import {
  ask,
  connect,
  connected,
  done,
  eventually,
  newMatch,
  next,
  pause,
  pair,
  rest,
  seen,
  sendReliably,
  socketOf,
  upTo,
  userToken,
  within,
} from './support/people.mjs';
import { rawSocket } from './support/raw_websocket.mjs';
import { useStack } from './support/stack.mjs';

const MAX_SOCKETS = 16;
const MIB = 1024 * 1024;
/** What 1,500 sockets of 100 users may make of a gateway. */
const MOST_BYTES = 150 * MIB;
const USERS = 100;
const SOCKETS_OF_EACH = 15;
/** What may be left when all have gone, of what was there before. */
const LEFT_AT_MOST = 1.2;
/** The allocator gives back what is free for 10 s. */
const GIVEN_BACK_WITHIN_MS = 60_000;

describe('one account', () => {
  const stack = useStack({ gateways: 2, replicas: 1 });
  const mallory = () => `m-${randomUUID()}`;

  /** Tries to connect; resolves to the socket, or to the code of its refusal. */
  function tryToConnect(user, options = {}) {
    const socket = socketOf(stack, user, { transports: ['websocket'], reconnection: false, ...options });
    const settled = new Promise((resolve) => {
      socket.once('connect', () => resolve(socket));
      socket.once('connect_error', ({ data, message }) => resolve(data?.code ?? message));
    });
    return within(settled, 'answer to a CONNECT');
  }

  test('has at most 16 sockets on a gateway, also if it asks for 40 at once, and as many on the next', async () => {
    const user = mallory();
    const answers = await Promise.all(upTo(40).map(() => tryToConnect(user)));
    const codes = answers.filter((answer) => typeof answer === 'string');
    assert.deepEqual(new Set(codes), new Set(['TOO_MANY_SOCKETS']));
    assert.equal(codes.length, 40 - MAX_SOCKETS);
    assert.equal((await tryToConnect(user, { gateway: 1 })).connected, true);
    assert.equal((await tryToConnect(mallory())).connected, true);

    const [first] = answers.filter((answer) => typeof answer !== 'string');
    first.disconnect();
    const seat = await eventually(async () => {
      const answer = await tryToConnect(user);
      return typeof answer !== 'string' && answer;
    }, 'the seat of one that has left');
    assert.equal(await tryToConnect(user), 'TOO_MANY_SOCKETS');
    assert.equal((await ask(seat, 'what')).error.code, 'INVALID_PAYLOAD');
  });

  test('comes back with its pid to a gateway where it has 16 sockets', async () => {
    const match = await newMatch(stack);
    const auth = { token: userToken(stack, match.alice) };
    const first = await rawSocket(stack.url(0), auth);
    first.emit('join_chat', match.id);
    await first.next((packet) => packet.startsWith('42["chat_joined"'), 'chat_joined');
    await Promise.all(upTo(MAX_SOCKETS - 1).map(() => connect(stack, match.alice)));
    assert.equal(await tryToConnect(match.alice), 'TOO_MANY_SOCKETS');
    const back = await rawSocket(stack.url(0), { ...auth, pid: first.pid, offset: first.offset });
    assert.equal(back.pid, first.pid, 'recovered');
    await within(first.closed, 'end of the earlier connection');
    assert.equal(await tryToConnect(match.alice), 'TOO_MANY_SOCKETS');
    back.end();
  });

  test('has the longest silent of its sockets replaced, and none that spoke lately', async () => {
    const { url } = await startGateway(stack, { SILENT_SOCKET_S: 3 });
    const user = mallory();
    const sockets = await Promise.all(upTo(MAX_SOCKETS).map(() => tryToConnect(user, { url })));
    assert.equal(await tryToConnect(user, { url }), 'TOO_MANY_SOCKETS');
    const [silent, ...others] = sockets;
    const closed = next(silent, 'disconnect');
    await eventually(async () => {
      await Promise.all(others.map((socket) => ask(socket, 'what')));
      // All together stay below the limit of events.
      await pause(500);
      return typeof (await tryToConnect(user, { url })) !== 'string';
    }, 'the place of the silent one');
    assert.equal(await closed, 'transport close');
    assert.ok(others.every((socket) => socket.connected));
  });

  test('that announces attachments is answered at once, and their bytes go nowhere', async () => {
    const raw = await rawSocket(stack.url(0), { token: userToken(stack, mallory()) });
    raw.send('452-7["send_message",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]');
    const refusal = await raw.next((packet) => packet.startsWith('437['), 'an answer before the attachments');
    assert.match(refusal, /INVALID_PAYLOAD/);
    raw.sendBinary(Buffer.alloc(60_000));
    raw.sendBinary(Buffer.alloc(0));
    raw.send('428["what"]');
    await raw.next((packet) => packet.startsWith('438['), 'an answer after the attachments');
    raw.end();
  });

  test('whose CONNECT is refused again and again on one connection is cut off', async () => {
    const { hostname, port, host } = new URL(stack.url(0));
    const answer = await fetch(`http://${host}/socket.io/?EIO=4&transport=polling`);
    const { sid } = JSON.parse((await answer.text()).slice(1));
    const session = `http://${hostname}:${port}/socket.io/?EIO=4&transport=polling&sid=${sid}`;
    const bad = upTo(20).map(() => '40{"token":"bad"}').join('\x1e');
    await fetch(session, { method: 'POST', body: bad });
    const refusals = (await (await fetch(session)).text()).split('\x1e').filter((packet) => packet.startsWith('44'));
    assert.equal(refusals.length, 8);
    assert.equal(await (await fetch(session)).text(), '1', 'closed');
  });

  test('joins no faster when it connects anew or on several sockets', async () => {
    const match = await newMatch(stack);
    let joined = 0;
    const began = Date.now();
    for (let wave = 0; wave < 5; wave += 1) {
      const socket = await connect(stack, match.alice, { transports: ['websocket'] });
      const acks = await Promise.all(upTo(20).map(() => ask(socket, 'join_chat', match.id)));
      joined += acks.filter(({ ok }) => ok).length;
      const refusals = acks.filter(({ ok }) => !ok).map(({ error }) => error);
      assert.ok(refusals.every(({ code, retryAfterMs }) => code === 'RATE_LIMITED' && retryAfterMs > 0));
      socket.disconnect();
    }
    const allowed = 20 + Math.ceil(((Date.now() - began) / 1000) * 5);
    assert.ok(joined >= 20 && joined <= allowed, `${joined} joins, ${allowed} allowed`);
  });

  test('reads no more bytes than it may, by joins and REST together', async () => {
    const { url } = await startGateway(stack, { LIMIT_READ_BYTES: '1000/20000' });
    const { match, alice } = await pair(stack);
    for (let i = 0; i < 10; i += 1) {
      await sendReliably(alice, match.id, 'x'.repeat(3_000));
    }
    const socket = await connect(stack, match.bob, { url });
    assert.equal((await done(socket, 'join_chat', { matchId: match.id, sinceSeq: 0 })).messages.length, 10);
    const { error } = await ask(socket, 'join_chat', { matchId: match.id, sinceSeq: 0 });
    assert.equal(error.code, 'RATE_LIMITED');
    assert.ok(error.retryAfterMs > 1_000, `${error.retryAfterMs}`);
    const answer = await fetch(`${url}/api/v1/matches/${match.id}/messages`, {
      headers: { authorization: `Bearer ${userToken(stack, match.bob)}` },
    });
    assert.equal(answer.status, 429);
    assert.ok(Number(answer.headers.get('retry-after')) > 1);
  });

  test('that floods is told, then disconnected, and the same again when it comes back', async () => {
    const { match, alice, bob } = await pair(stack);
    const flooding = [(socket) => socket.emit('what'), (socket) => socket.emit('typing', { matchId: match.id, isTyping: true })];
    for (const emit of flooding) {
      const socket = await connect(stack, mallory(), { transports: ['websocket'], reconnectionDelay: 50 });
      for (const limit of [3_000, 400]) {
        const reason = next(socket, 'disconnect');
        for (let i = 0; i < limit; i += 1) emit(socket);
        assert.equal(await reason, 'transport close');
        const told = seen(socket, 'message_error').filter(({ code }) => code === 'RATE_LIMITED');
        assert.ok(told.length > 0 && told.at(-1).retryAfterMs > 0);
        socket.received.length = 0;
        await connected(socket);
      }
      socket.disconnect();
    }
    await sendReliably(alice, match.id, 'still here');
    bob.disconnect();
  });

  test('that sends 70 messages in a tick is told 30 times, and stays connected', async () => {
    const { match, alice } = await pair(stack);
    for (let i = 0; i < 70; i += 1) alice.emit('send_message', { matchId: match.id, message: `m${i}` });
    await eventually(() => seen(alice, 'message_error').length >= 25, 'the refusals');
    const { seq } = await sendReliably(alice, match.id, 'after all');
    assert.ok(seq > 40);
    assert.ok(alice.connected);
  });

  test('that sends 300 messages at once as a client is to send them is never cut off', async () => {
    const { match, alice } = await pair(stack);
    let cut = 0;
    alice.on('disconnect', () => (cut += 1));
    const sent = await Promise.all(upTo(300).map((i) => sendReliably(alice, match.id, `m${i}`)));
    assert.equal(new Set(sent.map(({ seq }) => seq)).size, 300);
    assert.equal(cut, 0);
  });

  test('and a hundred like it leave a gateway below 150 MiB, and its memory as it was', { timeout: 300_000 }, async () => {
    const { url, pid } = await startGateway(stack);
    const users = upTo(USERS).map(mallory);
    const attack = async () => {
      const crowd = await hostileCrowd(stack, url, users);
      const most = await peak(pid, () => Promise.all(crowd.map((flood) => flood())));
      return { crowd, most };
    };
    // What is needed only once is there afterwards.
    const first = await attack();
    await leave(first.crowd);
    await eventually(async () => (await fetch(`${url}/readyz`)).ok, 'the gateway');
    const before = await settled(pid);

    const { crowd, most } = await attack();
    assert.ok(Math.max(first.most, most) < MOST_BYTES, `${(most / MIB).toFixed(1)} MiB`);
    await leave(crowd);
    const isBack = () => rss(pid) < before * LEFT_AT_MOST;
    await eventually(isBack, `from ${most} back to ${before}`, GIVEN_BACK_WITHIN_MS).catch((error) => {
      throw new Error(`${error.message}: ${rss(pid)} are left`);
    });
  });
});

/** Connections that hold as much as they can: of each user some of every kind. */
async function hostileCrowd(stack, url, users) {
  const crowd = [];
  for (const user of users) {
    const token = userToken(stack, user);
    const sockets = await Promise.all(upTo(SOCKETS_OF_EACH).map(() => rawSocket(url, { token })));
    crowd.push(...sockets.map((socket, i) => Object.assign(() => KINDS[i % KINDS.length](socket), { end: () => socket.end() })));
  }
  const { hostname, port } = new URL(url);
  for (let i = 0; i < 200; i += 1) {
    const tcp = connectTcp(Number(port), hostname);
    tcp.on('error', () => {});
    await once(tcp, 'connect');
    const half = () => tcp.write(`GET /?${'x'.repeat(15_000)} HTTP/1.1\r\nHost: `);
    crowd.push(Object.assign(half, { end: () => tcp.destroy() }));
  }
  return crowd;
}

const UNFINISHED = Buffer.alloc(60_000, 'x');
const KINDS = [
  // All attachments but the last.
  (socket) => {
    const places = upTo(10).map((i) => `{"_placeholder":true,"num":${i - 1}}`);
    socket.send(`4510-["x",${places.join()}]`);
    for (let i = 0; i < 9; i += 1) socket.sendBinary(UNFINISHED);
  },
  // A fragment that is not the last.
  (socket) => socket.write(frame(0x01, UNFINISHED)),
  // A frame without its end.
  (socket) => socket.write(frame(0x81, UNFINISHED).subarray(0, 59_000)),
  // Many small fragments.
  (socket) => {
    socket.write(frame(0x01, Buffer.from('4')));
    for (let i = 0; i < 500; i += 1) socket.write(frame(0x00, Buffer.alloc(100, 'y')));
  },
  // Events without an ack, and none of the answers is read.
  (socket) => {
    socket.stopReading();
    for (let i = 0; i < 100; i += 1) socket.emit('join_chat', 'x'.repeat(500));
  },
];

/** A client's frame with a mask of zeros. */
function frame(first, payload) {
  const length = payload.length < 126 ? [0x80 | payload.length] : [0xfe, payload.length >> 8, payload.length & 255];
  return Buffer.concat([Buffer.from([first, ...length, 0, 0, 0, 0]), payload]);
}

async function leave(crowd) {
  for (const { end } of crowd) end();
  crowd.length = 0;
}

/** The memory of a process, in bytes. */
function rss(pid) {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(kilobytes) * 1024;
}

/** The most memory while something is done, and for three seconds after it. */
async function peak(pid, act) {
  let most = 0;
  const watch = setInterval(() => (most = Math.max(most, rss(pid))), 50);
  await act();
  await pause(3_000);
  clearInterval(watch);
  return most;
}

/** The memory once it has not fallen for some seconds. */
async function settled(pid) {
  const seen = [];
  await eventually(
    async () => {
      seen.push(rss(pid));
      await pause(1_000);
      return seen.length > 12 && Math.min(...seen.slice(-6)) > Math.min(...seen.slice(0, -6)) - MIB;
    },
    'settled memory',
    GIVEN_BACK_WITHIN_MS,
  );
  return seen.at(-1);
}

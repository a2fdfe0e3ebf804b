// Clients that mean harm: each gets its answer or is closed, costs its neighbours nothing, and leaves nothing behind.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { describe, test } from 'node:test';
import { pss, startGateway } from './support/own_gateway.mjs';
import { ask, connect, done, eventually, joinedPair, refused, rest, upTo, userToken, within } from './support/people.mjs';
import { rawSocket } from './support/raw_websocket.mjs';
import { useStack } from './support/stack.mjs';

const MIB = 1024 * 1024;
/** What a flood may leave behind of the allocator's own. */
const LEFT_BEHIND = 8 * MIB;

describe('a hostile client', () => {
  const stack = useStack({ replicas: 1 });

  /** How many of the acks were refused for now, each with a time to come back after. */
  function limited(acks) {
    const errors = acks.map(({ error }) => error).filter((error) => error?.code === 'RATE_LIMITED');
    for (const { retryable, retryAfterMs } of errors) {
      assert.equal(retryable, true);
      assert.ok(retryAfterMs > 0 && retryAfterMs < 5_000, `${retryAfterMs}`);
    }
    return errors.length;
  }

  /** The two of a chat hear each other. */
  async function assertUnharmed({ match, alice, bob }) {
    const { seq } = await done(alice, 'send_message', { matchId: match.id, message: 'still here' });
    await eventually(() => bob.received.some(([, message]) => message.seq === seq), 'the message');
  }

  test('that floods events of any kind is refused for a while, and its connection lives', async () => {
    const pair = await joinedPair(stack);
    const mallory = await connect(stack, `m-${randomUUID()}`);
    const acks = await Promise.all(upTo(400).map(() => ask(mallory, 'what')));
    // 200 at once, and 50 a second while they are answered.
    assert.ok(acks.slice(0, 200).every(({ error }) => error.code === 'INVALID_PAYLOAD'));
    assert.ok(limited(acks) > 50, `${limited(acks)}`);
    await eventually(async () => limited([await ask(mallory, 'what')]) === 0, 'another event');
    await assertUnharmed(pair);
  });

  test('that floods call signals is refused for a while', async () => {
    const mallory = await connect(stack, `m-${randomUUID()}`);
    const acks = await Promise.all(upTo(190).map(() => ask(mallory, 'video_call_signal', { callId: randomUUID() })));
    assert.ok(limited(acks) > 10, `${limited(acks)}`);
  });

  test('that reads by REST without end is refused for a while', async () => {
    const { match } = await joinedPair(stack);
    const token = userToken(stack, match.alice);
    for (const path of ['/matches', `/matches/${match.id}/messages`]) {
      const answers = await Promise.all(upTo(60).map(() => rest(stack, 'GET', path, { token })));
      const refusals = answers.filter(({ status }) => status === 429);
      assert.ok(refusals.length > 0, path);
      for (const { json } of refusals) assert.ok(json.code === 'RATE_LIMITED' && json.retryAfterMs > 0, path);
    }
  });

  test('that names its events like what a runtime knows is answered like any other', async () => {
    const mallory = await connect(stack, `m-${randomUUID()}`);
    const names = ['error', '__proto__', 'constructor', 'toString', 'hasOwnProperty', 'ping', 'message'];
    for (const name of names) {
      assert.equal((await refused(mallory, name, { __proto__: 1 })).code, 'INVALID_PAYLOAD', name);
      mallory.emit(name);
    }
    assert.equal((await refused(mallory, 'join_chat', 'm-none')).code, 'MATCH_NOT_FOUND');
  });

  test('that floods namespaces, acks nobody waits for and heartbeats leaves nothing behind', async () => {
    const pair = await joinedPair(stack);
    const { url, pid } = await startGateway(stack);
    const auth = { token: userToken(stack, `m-${randomUUID()}`) };
    const packets = {
      '44/n0,': (i) => `40/n${i % 10_000},`,
      '430': (i) => `43${i}[{"a":"${'x'.repeat(100)}"}]`,
      '3': () => '3',
    };
    const settled = [];
    for (const flood of [...Object.values(packets), ...Object.values(packets)]) {
      const mallory = await rawSocket(url, auth);
      for (let i = 0; i < 10_000; i += 1) mallory.send(flood(i));
      mallory.send('4277["what"]');
      await mallory.next((packet) => packet.startsWith('4377['), 'an answer behind the flood');
      mallory.end();
      settled.push(pss(pid));
    }
    assert.ok(settled.at(-1) - settled[2] < LEFT_BEHIND, `bytes after each flood: ${settled}`);
    await assertUnharmed(pair);
  });

  test('that opens sessions by the thousand from one address is refused, and others are not', async () => {
    // Loopback is exempt, so the clients are those of a proxy.
    const { url, pid } = await startGateway(stack, { TRUSTED_PROXIES: '127.0.0.0/8', CONNECT_TIMEOUT_S: 1 });
    const before = pss(pid);
    const open = async (client) => {
      const headers = { 'x-forwarded-for': client };
      const answer = await fetch(`${url}/socket.io/?EIO=4&transport=polling`, { headers });
      return { status: answer.status, text: await answer.text() };
    };
    const answers = [];
    for (let wave = 0; wave < 40; wave += 1) {
      answers.push(...(await Promise.all(upTo(50).map(() => open('192.0.2.1')))));
    }
    const statuses = answers.map(({ status }) => status);
    assert.ok(statuses.slice(0, 500).every((status) => status === 200), 'a burst of 500');
    assert.ok(statuses.filter((status) => status === 429).length > 500, 'and then 50 a second');
    assert.equal((await open('192.0.2.2')).status, 200);

    // Nobody connected in any of them.
    const { sid } = JSON.parse(answers[0].text.slice(1));
    const isGone = async () => (await fetch(`${url}/socket.io/?EIO=4&transport=polling&sid=${sid}`)).status === 400;
    assert.equal(await within(eventually(isGone, 'the end of the session'), 'the end'), true);
    assert.ok(pss(pid) - before < LEFT_BEHIND, `${pss(pid) - before} bytes more`);
  });

  test('that begins a request or a frame and never ends it holds nobody up', async () => {
    const pair = await joinedPair(stack);
    const { hostname, port } = new URL(stack.url(0));
    const idle = await Promise.all(
      upTo(200).map(async (i) => {
        const socket = connectTcp(Number(port), hostname);
        await once(socket, 'connect');
        socket.on('error', () => {});
        if (i % 2) socket.write('GET /socket.io/?EIO=4 HTTP/1.1\r\nHost: ');
        return socket;
      }),
    );
    const half = await rawSocket(stack.url(0), { token: userToken(stack, `m-${randomUUID()}`) });
    half.write(Buffer.from([0x81, 0xfe, 0xff]));
    await assertUnharmed(pair);
    for (const socket of idle) socket.destroy();
    half.end();
  });
});

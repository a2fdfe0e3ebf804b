// What an ack of a message promises: stored once, in order, whoever repeats it and whatever breaks meanwhile.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { useStack } from './support/stack.mjs';
import {
  ascending,
  ask,
  connect,
  connected,
  done,
  eventually,
  history,
  joinedPair,
  next,
  pair,
  refused,
  rest,
  seen,
  sendReliably,
  socketOf,
  upTo,
  userToken,
} from './support/people.mjs';

const REPLICAS = ['chat-service-0', 'chat-service-1'];

describe('sending', () => {
  // These tests send more at once than a user may; the limits have tests of their own.
  const stack = useStack({ env: { LIMIT_SENDS: '1000/1000' } });

  /** Emits all at once; the acks come in the order of the messages. */
  function burst(socket, matchId, bodies) {
    return Promise.all(bodies.map((message) => ask(socket, 'send_message', { matchId, message })));
  }

  const numbered = (prefix, count) => upTo(count).map((i) => `${prefix}${i}`);
  const post = (match, user, body, options) =>
    rest(stack, 'POST', `/matches/${match.id}/messages`, { token: userToken(stack, user), body, ...options });

  test('both sides send at once through two gateways and seq has no gap', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const [hers, his] = await Promise.all([
      burst(alice, match.id, numbered('a', 40)),
      burst(bob, match.id, numbered('b', 40)),
    ]);
    for (const acks of [hers, his]) assert.ok(ascending(acks.map(({ seq }) => seq)), 'acks are in the order of emits');
    assert.deepEqual(
      [...hers, ...his].map(({ seq }) => seq).sort((a, b) => a - b),
      upTo(80),
    );
    await eventually(
      () => seen(bob, 'receive_message').length === 40 && seen(alice, 'receive_message').length === 40,
      'all 40',
    );
    assert.deepEqual(
      seen(bob, 'receive_message').map(({ message }) => message),
      numbered('a', 40),
    );
    assert.deepEqual(
      seen(alice, 'receive_message').map(({ message }) => message),
      numbered('b', 40),
    );
    const stored = await history(stack, match);
    assert.deepEqual(
      stored.map(({ seq }) => seq),
      upTo(80),
    );
    assert.deepEqual(
      stored.filter(({ senderId }) => senderId === match.alice).map(({ message }) => message),
      numbered('a', 40),
    );
  });

  test('a retry through the other gateway and after a reconnect gets the same seq', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const tablet = await connect(stack, match.alice, { gateway: 1 });
    const message = { matchId: match.id, message: { text: 'once', n: 1 }, clientId: randomUUID() };
    const first = await done(alice, 'send_message', message);
    assert.equal(first.duplicate, false);
    const again = { ...first, duplicate: true };
    assert.deepEqual(await done(alice, 'send_message', message), again);
    assert.deepEqual(await done(tablet, 'send_message', message), again);
    alice.disconnect().connect();
    await connected(alice);
    assert.deepEqual(await done(alice, 'send_message', message), again);
    // The order of an object's keys is not part of what it says.
    assert.deepEqual(await done(alice, 'send_message', { ...message, message: { n: 1, text: 'once' } }), again);
    await done(alice, 'send_message', { matchId: match.id, message: 'next' });
    await eventually(() => seen(bob, 'receive_message').length > 1, 'the next message');
    assert.deepEqual(
      seen(bob, 'receive_message').map(({ seq }) => seq),
      [1, 2],
    );
  });

  test('another body under a used clientId is refused and not stored', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const clientId = 'the same';
    await done(alice, 'send_message', { matchId: match.id, message: 'one', clientId });
    const error = await refused(alice, 'send_message', { matchId: match.id, message: 'two', clientId });
    assert.deepEqual([error.code, error.retryable], ['IDEMPOTENCY_CONFLICT', false]);
    assert.equal((await post(match, match.alice, { message: 'three', clientId })).status, 409);
    const own = await done(bob, 'send_message', { matchId: match.id, message: 'mine', clientId });
    assert.equal(own.duplicate, false, "the other side's ids are its own");
    assert.deepEqual(
      (await history(stack, match)).map(({ message }) => message),
      ['one', 'mine'],
    );
  });

  test('what one socket emits at once is stored in that order, up to 64 that wait', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    for (const name of REPLICAS) await stack.control('freeze', name);
    const sending = burst(alice, match.id, numbered('m', 70));
    await eventually(() => alice.sendBuffer.length === 0, 'the emits');
    for (const name of REPLICAS) await stack.control('thaw', name);
    const acks = await sending;
    const stored = acks.filter(({ ok }) => ok);
    assert.deepEqual(
      stored.map(({ seq }) => seq),
      upTo(65),
      'one in flight and 64 behind it',
    );
    assert.deepEqual(acks.slice(0, 65), stored);
    for (const { error } of acks.slice(65)) {
      assert.deepEqual([error.code, error.retryable], ['RATE_LIMITED', true]);
      assert.ok(error.retryAfterMs > 0);
    }
    assert.deepEqual(
      (await history(stack, match)).map(({ message }) => message),
      numbered('m', 65),
    );
    await eventually(() => seen(bob, 'receive_message').length === 65, 'all of them');
    assert.deepEqual(
      seen(bob, 'receive_message').map(({ seq }) => seq),
      upTo(65),
    );
  });

  test('requests that had to be repeated keep the order and are stored once', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    for (const name of REPLICAS) await stack.control('freeze', name);
    const sending = burst(alice, match.id, numbered('m', 20));
    // Longer than one try waits for its answer, shorter than the gateway repeats.
    const repeated = new Promise((resolve) => setTimeout(resolve, 2_500));
    await repeated;
    for (const name of REPLICAS) await stack.control('thaw', name);
    const acks = await sending;
    assert.deepEqual(
      acks.map(({ ok, seq, duplicate }) => [ok, seq, duplicate]),
      upTo(20).map((seq) => [true, seq, false]),
    );
    assert.deepEqual(
      (await history(stack, match)).map(({ message }) => message),
      numbered('m', 20),
    );
    await eventually(() => seen(bob, 'receive_message').length === 20, 'all of them');
    assert.deepEqual(
      seen(bob, 'receive_message').map(({ message }) => message),
      numbered('m', 20),
    );
  });

  test('an object that was saved by REST just before is acked as its duplicate and not broadcast again', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const send = (socket, message, more) => done(socket, 'send_message', { matchId: match.id, message, ...more });
    const body = { id: 'xT4u', type: 'gif', nested: { b: 1, a: [2.5] } };
    const clientId = 'gif-1';
    const first = (await post(match, match.alice, { message: body, clientId })).json;
    const again = await post(match, match.alice, { message: body, clientId });
    assert.equal(again.status, 200);
    assert.deepEqual(again.json, first);
    const text = (await post(match, match.alice, { message: 'a text' })).json;
    const reversed = (object) => Object.fromEntries(Object.entries(object).reverse());
    // What the seed's clients do: they emit what the REST call answered, or the body with the answer's id.
    for (const [saved, message] of [
      [first, first],
      [first, again.json],
      [first, reversed(first)],
      [first, { ...first, _id: first.id }],
      [first, { ...first, _id: 'a key of the page' }],
      [first, { ...body, _id: first.id }],
      [first, reversed({ _id: first.id, ...body })],
      [text, text],
      [text, reversed({ ...text, _id: text.id })],
    ]) {
      for (const more of [{}, { clientId: randomUUID() }, { clientId: saved.clientId }]) {
        const ack = await send(alice, message, more);
        assert.deepEqual([ack.seq, ack.duplicate, ack.id], [saved.seq, true, saved.id], JSON.stringify(message));
        assert.equal(ack.clientId, saved.clientId);
      }
    }
    await send(alice, 'last');
    await eventually(() => seen(bob, 'receive_message').at(-1)?.message === 'last', 'the last message');
    assert.deepEqual(
      seen(bob, 'receive_message').map(({ seq }) => seq),
      [1, 2, 3],
    );
    assert.equal((await history(stack, match)).length, 3);
  });

  test('an object that names a message and holds anything else is a message of its own', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const { match: other } = await pair(stack);
    const send = (socket, message) => done(socket, 'send_message', { matchId: match.id, message });
    const gif = { id: 'xT4u', type: 'gif' };
    const saved = (await post(match, match.alice, { message: gif })).json;
    const text = (await post(match, match.alice, { message: 'a text' })).json;
    const foreign = (await post(other, other.alice, { message: gif })).json;
    const emitted = await send(alice, { type: 'emitted' });
    let seq = emitted.seq;
    for (const message of [
      { ...saved, caption: 'new' },
      { ...saved, message: { ...gif, type: 'video' } },
      { ...gif, _id: saved.id, caption: 'new' },
      { ...gif, _id: saved.id, id: 'another' },
      { type: 'gif', _id: saved.id, id: 'another' },
      { ...gif, _id: `${match.id}:99` },
      { ...gif, _id: `${match.id}:0${saved.seq}` },
      { ...gif, _id: saved.clientId },
      { ...gif, _id: foreign.id },
      foreign,
      { ...text, message: 'edited' },
      { id: text.id },
      { type: 'emitted', _id: emitted.id },
    ]) {
      const ack = await send(alice, message);
      assert.deepEqual([ack.seq, ack.duplicate], [++seq, false], JSON.stringify(message));
    }
    const his = await send(bob, saved);
    assert.deepEqual([his.seq, his.duplicate], [++seq, false], "somebody else's message");
  });

  test('the ids of a thing are not taken for those of the message', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const gif = { type: 'gif', id: 'xT4u', _id: 'giphy-1' };
    for (const [i, message] of [gif, 'a text', gif, { ...gif, caption: 'again' }].entries()) {
      const ack = await done(alice, 'send_message', { matchId: match.id, message });
      assert.deepEqual([ack.seq, ack.duplicate], [i + 1, false]);
      assert.match(ack.clientId, /^[0-9a-f-]{36}$/);
    }
    await eventually(() => seen(bob, 'receive_message').length === 4, 'all of them');
    assert.deepEqual(
      seen(bob, 'receive_message').map(({ message }) => message),
      [gif, 'a text', gif, { ...gif, caption: 'again' }],
    );
  });

  test('a message looks the same in the event, in the page of a join, and in REST', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const body = JSON.parse('{"_id":"k","content":"hi","seq":99,"rev":1,"media":[],"":0,"__proto__":{"a":1},"$where":1}');
    const received = next(bob, 'receive_message');
    const saved = await post(match, match.alice, { message: body });
    // Before the join, as what its page holds comes as no event.
    const event = await received;
    const { messages } = await done(bob, 'join_chat', { matchId: match.id, sinceSeq: 0 });
    assert.deepEqual([event, messages, await history(stack, match)], [saved.json, [saved.json], [saved.json]]);
    assert.deepEqual(
      Object.keys(saved.json).sort(),
      ['', '_id', 'clientId', 'content', 'createdAt', 'id', 'matchId', 'message', 'senderId', 'seq', 'timestamp'],
    );
    assert.deepEqual(Object.entries(saved.json.message).sort(), Object.entries(body).sort());
    alice.disconnect();
  });

  test('a REST call that names its socket spares that socket alone', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const tablet = await connect(stack, match.alice, { gateway: 1 });
    await done(tablet, 'join_chat', match.id);
    const received = [bob, tablet].map((socket) => next(socket, 'receive_message'));
    const saved = await post(
      match,
      match.alice,
      { message: 'by REST' },
      { headers: { 'x-socket-id': alice.id }, gateway: 1 },
    );
    for (const message of await Promise.all(received)) {
      assert.deepEqual(message, saved.json);
    }
    const reply = next(alice, 'receive_message');
    await done(bob, 'send_message', { matchId: match.id, message: 'reply' });
    assert.equal((await reply).seq, 2);
    assert.deepEqual(
      seen(alice, 'receive_message').map(({ seq }) => seq),
      [2],
    );
    assert.deepEqual(seen(alice, 'inbox_updated'), []);
  });

  test('a REST call that names no socket updates the inbox of the own ones and reaches the others', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const updated = next(alice, 'inbox_updated');
    const received = next(bob, 'receive_message');
    await post(match, match.alice, { message: 'by REST' });
    assert.deepEqual(await updated, { matchId: match.id, lastSeq: 1, senderId: match.alice });
    assert.equal((await received).message, 'by REST');
    const reply = next(alice, 'receive_message');
    await done(bob, 'send_message', { matchId: match.id, message: 'reply' });
    assert.equal((await reply).seq, 2);
    assert.deepEqual(
      seen(alice, 'receive_message').map(({ seq }) => seq),
      [2],
    );
  });

  test('a socket that disconnects right after emitting loses nothing that was acked', async () => {
    const { match, alice } = await pair(stack);
    const acked = [];
    const bodies = numbered('m', 30);
    for (const message of bodies) {
      alice.emit('send_message', { matchId: match.id, message }, (ack) => {
        acked.push(ack.seq);
        if (acked.length === 3) alice.disconnect();
      });
    }
    await eventually(() => !alice.connected && acked.length >= 3, 'the disconnect');
    await connect(stack, match.alice);
    // What was taken before the disconnect may still be on its way.
    const probe = await connect(stack, match.bob);
    const last = await done(probe, 'send_message', { matchId: match.id, message: 'probe' });
    const stored = await history(stack, match);
    const hers = stored.filter(({ senderId }) => senderId === match.alice).map(({ message }) => message);
    assert.ok(hers.length >= acked.length && last.seq >= acked.length);
    assert.deepEqual(hers, bodies.slice(0, hers.length), 'a gapless beginning of what was emitted');
    assert.deepEqual(
      stored.map(({ seq }) => seq),
      upTo(stored.length),
    );
  });

  test('what a socket emitted before it disconnected is stored, also what waited its turn', async () => {
    const { match, alice } = await pair(stack);
    const bodies = numbered('m', 5);
    const sockets = async () => {
      const text = await (await fetch(`${stack.url(0)}/metrics`)).text();
      return Number(/^gateway_connections\{?.*\s(\d+)$/m.exec(text)[1]);
    };
    const before = await sockets();
    for (const name of REPLICAS) await stack.control('freeze', name);
    try {
      for (const message of bodies) alice.emit('send_message', { matchId: match.id, message });
      alice.disconnect();
      await eventually(async () => (await sockets()) === before - 1, 'the gateway has seen the disconnect');
    } finally {
      for (const name of REPLICAS) await stack.control('thaw', name);
    }
    await eventually(async () => (await history(stack, match)).length === bodies.length, 'all of them');
    assert.deepEqual((await history(stack, match)).map(({ message }) => message), bodies);
  });

  test("the official client's retries outlive the death of a gateway and store each message once", async () => {
    const { match, bob } = await pair(stack);
    await done(bob, 'join_chat', match.id);
    const alice = socketOf(stack, match.alice, {
      retries: 20,
      ackTimeout: 1_000,
      reconnectionDelay: 100,
      reconnectionDelayMax: 300,
    });
    await connected(alice);
    const bodies = numbered('m', 12);
    const sent = bodies.map((message) =>
      alice.emitWithAck('send_message', { matchId: match.id, message, clientId: message }),
    );
    await sent[2];
    await stack.control('kill', 'gateway-0');
    await stack.control('start', 'gateway-0');
    const acks = await Promise.all(sent);
    // To the client any ack is a success, so what is UNAVAILABLE is its user's to repeat.
    for (const [i, ack] of acks.entries()) {
      if (!ack.ok) await sendReliably(alice, match.id, bodies[i], bodies[i]);
    }
    assert.deepEqual((await history(stack, match, 1)).map(({ message }) => message).sort(), [...bodies].sort());
    await eventually(() => seen(bob, 'receive_message').length === bodies.length, 'all of them');
    assert.deepEqual(
      seen(bob, 'receive_message').map(({ seq }) => seq),
      upTo(bodies.length),
    );
  });
});

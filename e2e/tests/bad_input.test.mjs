// What clients should not send: each gets its code, the connection goes on, and nothing is stored.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { useStack } from './support/stack.mjs';
import {
  ask,
  connect,
  connected,
  done,
  eventually,
  joinedPair,
  newMatch,
  next,
  now,
  refused,
  rest,
  seen,
  serviceToken,
  sign,
  socketOf,
  upTo,
  userToken,
  within,
} from './support/people.mjs';
import { askRaw, sendRaw } from './support/raw.mjs';

const stack = useStack({ replicas: 1 });

const MALFORMED_IDS = ['', 'a.b', '*', '>', 'a b', 'a\n', 'é', 'a/b', 'x'.repeat(65)];
const NO_STRINGS = [null, 7, true, [], {}, ['a']];

/** The connection lives, and nothing of it was stored. */
async function assertUnharmed(match, socket, sid) {
  assert.equal(socket.id, sid, 'it is the same connection');
  const { json } = await rest(stack, 'GET', `/matches/${match.id}`, { token: userToken(stack, match.alice) });
  assert.equal(json.lastSeq, 0, 'nothing is stored');
  assert.equal((await done(socket, 'send_message', { matchId: match.id, message: 'still here' })).seq, 1);
}

async function joined() {
  const { match, alice, bob } = await joinedPair(stack);
  return { match, alice, bob, sid: alice.id };
}

describe('a connection', () => {
  /** The code with which a CONNECT is refused. */
  async function refusal(auth) {
    const socket = socketOf(stack, 'unused', { auth });
    const error = await within(new Promise((resolve) => socket.once('connect_error', resolve)), 'connect_error');
    assert.equal(socket.active, false, 'the client gives up');
    return error.data?.code;
  }

  test('without a good token is refused', async () => {
    const claims = { sub: 'alice', iat: now() - 100, exp: now() + 100 };
    const unsigned = (alg) => `${sign(claims, '', { alg, typ: 'JWT' }).split('.').slice(0, 2).join('.')}.`;
    const bad = {
      'no auth': undefined,
      'no token': {},
      'no string': { token: 7 },
      nonsense: { token: 'nonsense' },
      'three dots': { token: 'a.b.c' },
      'signed by somebody else': { token: sign(claims, 'a foreign secret') },
      'not signed': { token: unsigned('none') },
      'not signed, in capitals': { token: unsigned('NONE') },
      'of an algorithm that is not configured': { token: sign(claims, stack.secret, { alg: 'HS512', typ: 'JWT' }) },
      'changed after signing': {
        token: sign(claims, stack.secret).replace(
          /\.[^.]+\./,
          `.${Buffer.from(JSON.stringify({ ...claims, sub: 'bob' })).toString('base64url')}.`,
        ),
      },
      'the app server’s': { token: serviceToken(stack) },
      'issued in the future': { token: sign({ ...claims, iat: now() + 3600, exp: now() + 7200 }, stack.secret) },
      'without sub': { token: sign({ ...claims, sub: undefined }, stack.secret) },
      'without iat': { token: sign({ ...claims, iat: undefined }, stack.secret) },
      'without exp': { token: sign({ ...claims, exp: undefined }, stack.secret) },
      'of a malformed user': { token: sign({ ...claims, sub: 'a.*' }, stack.secret) },
    };
    for (const [what, auth] of Object.entries(bad)) assert.equal(await refusal(auth), 'UNAUTHENTICATED', what);
    assert.equal(await refusal({ token: sign({ ...claims, exp: now() - 60 }, stack.secret) }), 'TOKEN_EXPIRED');
  });

  test('to another namespace is refused', async () => {
    const alice = await connect(stack, 'alice');
    const other = alice.io.socket('/admin', { auth: { token: userToken(stack, 'alice') } });
    other.connect();
    const error = await within(new Promise((resolve) => other.once('connect_error', resolve)), 'connect_error');
    assert.equal(error.message, 'Invalid namespace');
    assert.equal((await ask(alice, 'join_chat', 'demo')).ok, true, 'the first one goes on');
  });
});

describe('an event', () => {
  test('with a malformed id is invalid', async () => {
    const { match, alice, sid } = await joined();
    for (const matchId of [...MALFORMED_IDS, ...NO_STRINGS]) {
      const what = JSON.stringify(matchId);
      const calls = ['video_call_request', 'video_call_accepted', 'video_call_rejected', 'video_call_ended'];
      for (const event of ['join_chat', 'leave_chat', 'send_message', 'typing', ...calls]) {
        const error = await refused(alice, event, { matchId, message: 'x', isTyping: true });
        assert.deepEqual([error.code, error.retryable], ['INVALID_PAYLOAD', false], `${event} ${what}`);
      }
      if (typeof matchId !== 'object')
        assert.equal((await refused(alice, 'join_chat', matchId)).code, 'INVALID_PAYLOAD', what);
      assert.equal((await refused(alice, 'video_call_signal', { callId: matchId })).code, 'INVALID_PAYLOAD', what);
      assert.equal(
        (await refused(alice, 'video_call_accepted', { matchId: match.id, callId: matchId || '.' })).code,
        'INVALID_PAYLOAD',
        what,
      );
    }
    await assertUnharmed(match, alice, sid);
  });

  test('without what it needs, or with something else, is invalid', async () => {
    const { match, alice, sid } = await joined();
    const matchId = match.id;
    const bad = [
      ['send_message'],
      ['send_message', null],
      ['send_message', matchId],
      ['send_message', { matchId }],
      ['send_message', { message: 'x' }],
      ...[null, 7, true, []].map((message) => ['send_message', { matchId, message }]),
      ...['', 'x'.repeat(65), 'a\0b', 7, [], {}].map((clientId) => [
        'send_message',
        { matchId, message: 'x', clientId },
      ]),
      ['join_chat'],
      ['join_chat', 7],
      ['join_chat', {}],
      ['join_chat', [matchId]],
      ...[-1, 1.5, '1', true, []].map((sinceSeq) => ['join_chat', { matchId, sinceSeq }]),
      ...['yes', 1].map((keepOthers) => ['join_chat', { matchId, keepOthers }]),
      ['leave_chat'],
      ['leave_chat', {}],
      ['typing'],
      ['typing', { matchId }],
      ['typing', { isTyping: true }],
      ['typing', { matchId, isTyping: 'yes' }],
      ...[null, 0, 'false', {}].map((second) => ['typing', matchId, second]),
      ['typing', { matchId, isTyping: true }, false],
      ['send_message', matchId, 'x'],
      ['video_call_request'],
      ['video_call_signal', {}],
      ['video_call_signal'],
      ['video_call_ended', { matchId, reason: 7 }],
      ['refresh_token'],
      ['refresh_token', {}],
      ['refresh_token', { token: 7 }],
    ];
    for (const [event, ...args] of bad) {
      const ack = await ask(alice, event, ...args);
      assert.equal(ack.error?.code, 'INVALID_PAYLOAD', JSON.stringify([event, ...args]));
    }
    await assertUnharmed(match, alice, sid);
  });

  test('is taken as its first argument says, whatever stands beyond', async () => {
    const { match, alice } = await joined();
    await done(alice, 'send_message', { matchId: match.id, message: 'x' }, 'y', { z: 1 });
    await done(alice, 'typing', match.id, false, 1);
    await done(alice, 'leave_chat', match.id, alice.user);
    await done(alice, 'join_chat', match.id, alice.user);
  });

  test('with a token that is not good does not renew the connection', async () => {
    const { match, alice, sid } = await joined();
    const expired = sign({ sub: match.alice, iat: now() - 100, exp: now() - 50 }, stack.secret);
    for (const [token, code] of [
      ['nonsense', 'UNAUTHENTICATED'],
      [expired, 'TOKEN_EXPIRED'],
      [userToken(stack, match.bob), 'UNAUTHENTICATED'],
    ]) {
      assert.equal((await refused(alice, 'refresh_token', { token })).code, code);
    }
    await assertUnharmed(match, alice, sid);
  });

  test('that is too large is refused', async () => {
    const { match, alice, bob, sid } = await joined();
    const tooLarge = [
      'x'.repeat(4_001),
      '🎈'.repeat(4_001),
      { text: 'x'.repeat(17 * 1024) },
      { list: Array(6_000).fill(1000) },
    ];
    for (const message of tooLarge) {
      const error = await refused(alice, 'send_message', { matchId: match.id, message });
      assert.deepEqual([error.code, error.retryable], ['PAYLOAD_TOO_LARGE', false]);
    }
    await assertUnharmed(match, alice, sid);
    // Scalar values count, not UTF-16 units or bytes.
    await done(alice, 'send_message', { matchId: match.id, message: '🎈'.repeat(4_000) });
    await done(alice, 'send_message', { matchId: match.id, message: { text: 'x'.repeat(16 * 1024 - 11) } });
    await eventually(() => seen(bob, 'receive_message').length === 3, 'what was just small enough');
  });

  test('with JSON that nests too deep is invalid, however deep', async () => {
    const { match, alice, sid } = await joined();
    const nested = (depth) => '['.repeat(depth) + ']'.repeat(depth);
    const objects = (depth) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
    for (const depth of [33, 1_000, 10_000]) {
      for (const deep of [`{"a":${nested(depth)}}`, objects(Math.min(depth, 9_000))]) {
        const sends = await askRaw(alice, `["send_message",{"matchId":"${match.id}","message":${deep}}]`);
        assert.equal(sends.error.code, 'INVALID_PAYLOAD', `${depth}`);
        assert.equal((await askRaw(alice, `["join_chat",${deep}]`)).error.code, 'INVALID_PAYLOAD', `${depth}`);
        assert.equal((await askRaw(alice, `["what",${deep}]`)).error.code, 'INVALID_PAYLOAD', `${depth}`);
      }
    }
    await assertUnharmed(match, alice, sid);
    const fits = await askRaw(alice, `["send_message",{"matchId":"${match.id}","message":${objects(29)}}]`);
    assert.equal(fits.ok, true);
  });

  test('with half a character is invalid', async () => {
    const { match, alice, sid } = await joined();
    for (const text of ['\ud83c', 'a\udf88', '\udf88\ud83c']) {
      for (const message of [text, { text }, { [text]: 1 }]) {
        assert.equal((await refused(alice, 'send_message', { matchId: match.id, message })).code, 'INVALID_PAYLOAD');
      }
      assert.equal(
        (await refused(alice, 'send_message', { matchId: match.id, message: 'x', clientId: text })).code,
        'INVALID_PAYLOAD',
      );
      assert.equal((await refused(alice, 'join_chat', text)).code, 'INVALID_PAYLOAD');
    }
    await assertUnharmed(match, alice, sid);
  });

  test('with attachments is invalid', async () => {
    const { match, alice, sid } = await joined();
    const bytes = Buffer.from('bytes');
    for (const args of [
      [{ matchId: match.id, message: bytes }],
      [{ matchId: match.id, message: { file: bytes } }],
      [bytes],
    ]) {
      for (const event of ['send_message', 'join_chat', 'what']) {
        assert.equal((await refused(alice, event, ...args)).code, 'INVALID_PAYLOAD');
      }
    }
    await assertUnharmed(match, alice, sid);
  });

  test('that nobody knows is invalid, and silent without a callback', async () => {
    const { match, alice, sid } = await joined();
    for (const event of ['what', '', 'receive_message', 'connection', 'JOIN_CHAT']) {
      assert.equal((await refused(alice, event, { matchId: match.id })).code, 'INVALID_PAYLOAD');
      alice.emit(event, { matchId: match.id });
    }
    alice.emit('typing', {});
    alice.emit('leave_chat', 7);
    await assertUnharmed(match, alice, sid);
    assert.deepEqual(
      alice.received.map(([event]) => event),
      ['chat_joined'],
    );
  });

  test('that fails without a callback is told by an event', async () => {
    const { match, alice, sid } = await joined();
    for (const [event, error, args, names] of [
      ['send_message', 'message_error', { matchId: match.id }, { matchId: match.id }],
      ['send_message', 'message_error', { matchId: match.id, message: 7, clientId: 'c 1' }, { matchId: match.id, clientId: 'c 1' }],
      ['send_message', 'message_error', { matchId: 'a.b', message: 'x', clientId: 'c' }, { clientId: 'c' }],
      ['join_chat', 'chat_join_error', { matchId: 'a.b' }, {}],
      ['join_chat', 'chat_join_error', { matchId: match.id, sinceSeq: -1 }, { matchId: match.id }],
      ['video_call_request', 'call_error', { matchId: 7 }, {}],
      ['video_call_ended', 'call_error', { matchId: match.id, callId: 'v1', reason: 7 }, { matchId: match.id, callId: 'v1' }],
      ['video_call_signal', 'call_error', { callId: 'v1', matchId: 8, message: '\ud83c' }, { callId: 'v1' }],
    ]) {
      const told = next(alice, error);
      alice.emit(event, args);
      const { error: text, ...failure } = await told;
      assert.equal(typeof text, 'string');
      assert.deepEqual(failure, { code: 'INVALID_PAYLOAD', retryable: false, ...names }, JSON.stringify(args));
    }
    await assertUnharmed(match, alice, sid);
  });

  test('names its match, message and call in the event that tells of its failure, however it failed', async () => {
    const { match, alice } = await joined();
    const large = next(alice, 'message_error');
    alice.emit('send_message', { matchId: match.id, clientId: 'large', message: 'x'.repeat(4_001) });
    assert.deepEqual(
      (({ code, matchId, clientId }) => [code, matchId, clientId])(await large),
      ['PAYLOAD_TOO_LARGE', match.id, 'large'],
    );
    const absent = next(alice, 'chat_join_error');
    alice.emit('join_chat', 'absent');
    assert.deepEqual((({ code, matchId }) => [code, matchId])(await absent), ['MATCH_NOT_FOUND', 'absent']);
    const call = next(alice, 'call_error');
    alice.emit('video_call_ended', { matchId: match.id, callId: 'v1' });
    assert.deepEqual((({ code, callId }) => [code, callId])(await call), ['CALL_NOT_FOUND', 'v1']);
    const unnamed = next(alice, 'message_error');
    alice.emit('send_message', { matchId: 'absent', message: { _id: 'mine', id: 'mine' } });
    assert.equal('clientId' in (await unnamed), false, 'only what the client gave as clientId');
    for (const i of upTo(70)) alice.emit('send_message', { matchId: match.id, message: `m${i}`, clientId: `c${i}` });
    await eventually(() => seen(alice, 'message_error').filter(({ code }) => code === 'RATE_LIMITED').length >= 25, 'refusals');
    const stored = await eventually(async () => {
      const path = `/matches/${match.id}/messages?limit=200`;
      const { json } = await rest(stack, 'GET', path, { token: userToken(stack, match.alice) });
      const failed = seen(alice, 'message_error').filter(({ code }) => code === 'RATE_LIMITED');
      return json.messages.length + failed.length === 70 && json.messages;
    }, 'an answer to each');
    const failed = seen(alice, 'message_error').filter(({ code }) => code === 'RATE_LIMITED');
    assert.ok(failed.every(({ matchId, retryAfterMs }) => matchId === match.id && retryAfterMs > 0));
    const all = [...stored, ...failed].map(({ clientId }) => clientId);
    assert.deepEqual(all.sort(), upTo(70).map((i) => `c${i}`).sort(), 'each is told apart');
  });

  test('about a chat that is not joined, or not the own, is refused', async () => {
    const match = await newMatch(stack);
    const alice = await connect(stack, match.alice);
    const sid = alice.id;
    assert.equal((await refused(alice, 'typing', { matchId: match.id, isTyping: true })).code, 'NOT_JOINED');
    assert.equal((await refused(alice, 'leave_chat', match.id)).code, 'NOT_JOINED');
    const foreign = await newMatch(stack);
    const absent = `m-${randomUUID()}`;
    const events = [
      ['join_chat', {}],
      ['send_message', { message: 'x' }],
      ['video_call_request', {}],
      ['video_call_accepted', {}],
      ['video_call_ended', {}],
    ];
    for (const [event, args] of events) {
      const [one, other] = [foreign.id, absent].map((matchId) => refused(alice, event, { matchId, ...args }));
      assert.equal((await one).code, 'MATCH_NOT_FOUND', event);
      assert.deepEqual(await one, await other, 'no difference tells which of them exists');
    }
    const { json } = await rest(stack, 'GET', `/matches/${foreign.id}`, { token: userToken(stack, foreign.alice) });
    assert.equal(json.lastSeq, 0);
    await assertUnharmed(match, alice, sid);
  });

  test('that comes too often is refused for a while', async () => {
    const { match, alice, bob } = await joined();
    const acks = await Promise.all(
      upTo(60).map((i) => ask(alice, 'send_message', { matchId: match.id, message: `m${i}` })),
    );
    const refusedAcks = acks.filter(({ ok }) => !ok);
    assert.ok(
      acks.slice(0, 40).every(({ ok }) => ok),
      '40 may come at once',
    );
    assert.ok(refusedAcks.length > 0);
    for (const { error } of refusedAcks) {
      assert.deepEqual([error.code, error.retryable], ['RATE_LIMITED', true]);
      assert.ok(error.retryAfterMs > 0 && error.retryAfterMs < 2_000);
    }
    const { json } = await rest(stack, 'GET', `/matches/${match.id}`, { token: userToken(stack, match.alice) });
    assert.equal(json.lastSeq, 60 - refusedAcks.length, 'what was refused is not stored');
    const joins = await Promise.all(upTo(30).map(() => ask(bob, 'join_chat', match.id)));
    assert.ok(joins.some(({ error }) => error?.code === 'RATE_LIMITED'));
    const typing = await Promise.all(upTo(10).map(() => ask(alice, 'typing', { matchId: match.id, isTyping: true })));
    assert.ok(typing.some(({ error }) => error?.code === 'RATE_LIMITED'));
    assert.equal(
      (await done(alice, 'typing', { matchId: match.id, isTyping: false })).ok,
      true,
      'to stop typing is always possible',
    );
  });

  test('beyond 16 kept chats is refused', async () => {
    const user = `u-${randomUUID()}`;
    const alice = await connect(stack, user);
    const matches = await Promise.all(upTo(17).map((i) => newMatch(stack, [user, `o-${i}-${user}`])));
    for (const { id } of matches.slice(0, 16)) await done(alice, 'join_chat', { matchId: id, keepOthers: true });
    assert.equal(
      (await refused(alice, 'join_chat', { matchId: matches[16].id, keepOthers: true })).code,
      'RATE_LIMITED',
    );
    await done(alice, 'join_chat', matches[16].id);
  });
});

describe('a packet', () => {
  /** The gateway closes the transport, the client comes back by itself, and nothing else is harmed. */
  async function assertClosedBy(what, send) {
    const { match, alice, bob } = await joined();
    alice.io.reconnectionDelay(10);
    const [transport, other] = [alice.io.engine.id, bob.io.engine.id];
    const gone = new Promise((resolve) => alice.once('disconnect', resolve));
    send(alice, match);
    await within(gone, `disconnect after ${what}`);
    await connected(alice);
    assert.notEqual(alice.io.engine.id, transport);
    await assertUnharmed(match, alice, alice.id);
    assert.equal(bob.io.engine.id, other);
  }

  test('that breaks the protocol closes the transport', async () => {
    const packets = [
      ['2["unclosed"'],
      ['2{"not":"an array"}'],
      ['2[]'],
      ['2[null]'],
      ['2["disconnect"]'],
      ['9'],
      ['0{"token":"again"}'],
      // More attachments than may be, a text where the announced one is due, and one that nobody announced.
      ['511-["x"]'],
      ['51-["x",{"_placeholder":true,"num":0}]', '2["x"]'],
      [Buffer.from('x')],
    ];
    for (const frames of packets) {
      await assertClosedBy(frames.join(' '), (socket) => frames.forEach((frame) => sendRaw(socket, frame)));
    }
  });

  test('that is larger than 64 KB closes the transport', async () => {
    await assertClosedBy('64 KB', (socket, match) =>
      socket.emit('send_message', { matchId: match.id, message: 'x'.repeat(70_000) }),
    );
  });
});

// Connection state recovery: a client whose connection broke goes on, on any gateway, as if nothing had happened.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { useStack } from './support/stack.mjs';
import {
  comeBack as comeBackThrough,
  connect,
  done,
  eventually,
  newMatch,
  next,
  refused,
  rest,
  seen,
  serviceToken,
  userToken,
} from './support/people.mjs';

describe('recovery', () => {
  const stack = useStack();

  const seqs = (socket) => seen(socket, 'receive_message').map(({ seq }) => seq);

  const comeBack = (socket, options) => comeBackThrough(stack, socket, options);

  async function joinedPair() {
    const match = await newMatch(stack);
    const alice = await connect(stack, match.alice);
    const bob = await connect(stack, match.bob);
    await Promise.all([alice, bob].map((socket) => done(socket, 'join_chat', match.id)));
    return { match, alice, bob };
  }

  const say = (socket, match, message) => done(socket, 'send_message', { matchId: match.id, message });

  test('what was missed is delivered once and in order, through another gateway', async () => {
    const { match, alice, bob } = await joinedPair();
    for (const message of ['one', 'two']) await say(alice, match, message);
    await eventually(() => seqs(bob).length === 2, 'both messages');
    const id = bob.id;
    await comeBack(bob, { meanwhile: async () => { for (const text of ['three', 'four']) await say(alice, match, text); } });
    assert.equal(bob.recovered, true);
    assert.equal(bob.id, id);
    await say(alice, match, 'five');
    await eventually(() => seqs(bob).length === 5, 'all messages');
    assert.deepEqual(seqs(bob), [1, 2, 3, 4, 5]);
  });

  test('a client that has joined and heard nothing recovers too', async () => {
    const { match, alice, bob } = await joinedPair();
    await comeBack(bob, { meanwhile: () => say(alice, match, 'first') });
    assert.equal(bob.recovered, true);
    await eventually(() => seqs(bob).length === 1, 'the first message');
  });

  test('a client whose first join was lost with its connection is not recovered, and joins again', async () => {
    const match = await newMatch(stack);
    const alice = await connect(stack, match.alice);
    const bob = await connect(stack, match.bob, { transports: ['websocket'] });
    const pid = bob._pid;
    // The connection breaks under the join: nothing of it reaches the gateway, and its answer never comes.
    bob.io.engine.transport.send = () => {};
    bob.emit('join_chat', match.id);
    await comeBack(bob, { cut: (engine) => engine.transport.close() });
    assert.equal(bob.recovered, false);
    assert.notEqual(bob._pid, pid);
    const { lastSeq } = await done(bob, 'join_chat', match.id);
    assert.equal(lastSeq, 0);
    await say(alice, match, 'hello');
    await eventually(() => seqs(bob).length === 1, 'the message');
    await comeBack(bob, { meanwhile: () => say(alice, match, 'again') });
    assert.equal(bob.recovered, true);
    await eventually(() => seqs(bob).length === 2, 'the next message');
  });

  test('a client that has left all its chats is recovered without any', async () => {
    const { match, alice, bob } = await joinedPair();
    await done(bob, 'leave_chat', match.id);
    await comeBack(bob, { meanwhile: () => say(alice, match, 'unheard') });
    assert.equal(bob.recovered, true);
    assert.equal((await refused(bob, 'leave_chat', match.id)).code, 'NOT_JOINED');
    assert.deepEqual(seqs(bob), []);
  });

  test("one's own messages are not replayed, and other devices' are", async () => {
    const { match, alice, bob } = await joinedPair();
    await say(bob, match, 'mine');
    const tablet = await connect(stack, match.bob);
    await comeBack(bob, {
      meanwhile: async () => {
        await say(tablet, match, 'from my tablet');
        await say(alice, match, 'hello');
      },
    });
    await eventually(() => seqs(bob).length === 2, 'two messages');
    assert.deepEqual(seen(bob, 'receive_message').map(({ message }) => message), ['from my tablet', 'hello']);
    const repeat = next(bob, 'receive_message');
    await say(bob, match, 'mine again');
    await say(alice, match, 'last');
    assert.equal((await repeat).message, 'last');
  });

  test('several joined chats recover, one that was left does not, one that was closed says so', async () => {
    const { match, alice, bob } = await joinedPair();
    const [kept, left, closed] = await Promise.all([1, 2, 3].map(() => newMatch(stack, match.members)));
    for (const chat of [kept, left, closed]) await done(bob, 'join_chat', { matchId: chat.id, keepOthers: true });
    await done(bob, 'leave_chat', left.id);
    const told = next(bob, 'match_closed');
    await comeBack(bob, {
      meanwhile: async () => {
        for (const chat of [match, kept, left]) await say(alice, chat, chat.id);
        await rest(stack, 'DELETE', `/matches/${closed.id}`, { token: serviceToken(stack) });
      },
    });
    assert.equal(bob.recovered, true);
    assert.deepEqual(await told, { matchId: closed.id });
    await eventually(() => seqs(bob).length === 2, 'both chats');
    assert.deepEqual(seen(bob, 'receive_message').map(({ message }) => message).sort(), [match.id, kept.id].sort());
    assert.equal((await refused(bob, 'leave_chat', left.id)).code, 'NOT_JOINED');
  });

  test('a milestone reached meanwhile is told once', async () => {
    const { match, alice, bob } = await joinedPair();
    await comeBack(bob, {
      meanwhile: async () => {
        for (let i = 0; i < 100; i += 1) {
          const token = userToken(stack, i % 2 ? match.alice : match.bob);
          const gateway = (i >> 1) % 2;
          await eventually(async () => (await rest(stack, 'POST', `/matches/${match.id}/messages`, { token, gateway, body: { message: 'x' } })).ok, 'a saved message', 10_000);
        }
        await eventually(() => seen(alice, 'milestone_reached').length === 1, 'the milestone');
      },
    });
    assert.equal(bob.recovered, true);
    await eventually(() => seen(bob, 'milestone_reached').length === 1, 'the milestone');
    await eventually(() => seqs(bob).length === 50, "alice's messages; bob's own by REST are updates");
    assert.deepEqual(seqs(bob), [...seqs(bob)].sort((a, b) => a - b));
    assert.equal(seen(bob, 'milestone_reached').length, 1);
  });

  test("a pid of another user recovers nothing of anybody's", async () => {
    const { match, alice, bob } = await joinedPair();
    await say(alice, match, 'secret');
    await eventually(() => seqs(bob).length === 1, 'the message');
    const mallory = await connect(stack, 'mallory');
    mallory._pid = bob._pid;
    mallory._lastOffset = bob._lastOffset;
    await comeBack(mallory, { meanwhile: () => say(alice, match, 'more') });
    assert.equal(mallory.recovered, false);
    await eventually(() => seqs(bob).length === 2, 'the next message');
    assert.deepEqual(seqs(mallory), []);
  });

  /** What may have become of an offset, by how it was damaged. */
  const DAMAGES = {
    'of an earlier version': (offset) => offset.replace(/^2~/, '1~'),
    'of a later version': (offset) => offset.replace(/^2~/, '3~'),
    'of another epoch': (offset) => offset.replace(/^(2~.{8})~[^~]*/, '$1~00000000'),
    'without an epoch': (offset) => offset.replace(/^(2~.{8})~[^~]*/, '$1'),
    'with a call that is none': (offset) => `${offset}~!:1`,
    'with a chat behind the call': (offset) => `${offset}~!call:1~m:0:0`,
    'of no version': (offset) => offset.slice(2),
    'of another pid': (offset) => offset.replace(/~.{8}/, '~xxxxxxxx'),
    'with something behind it': (offset) => `${offset}~`,
    'with more behind it': (offset) => `${offset}:0`,
    'cut short': (offset) => offset.slice(0, -2),
    'with a chat that does not exist': (offset) => offset.replace('~m-', '~n-'),
    'with a chat twice': (offset) => `${offset}~${offset.split('~')[3]}`,
    'with a negative seq': (offset) => offset.replace(/:1:/, ':-1:'),
    'with a seq that is no number': (offset) => offset.replace(/:1:/, ':one:'),
    'with a seq that is too large': (offset) => offset.replace(/:1:/, ':9223372036854775808:'),
    'with a seq above the head': (offset) => offset.replace(/:1:/, ':1000:'),
    'with changes that nobody made': (offset) => offset.replace(/:0$/, ':7'),
    'with too many chats': (offset) => offset + Array.from({ length: 16 }, (_, n) => `~m${n}:0:0`).join(''),
    'without anything': () => '',
    'of other characters': () => '\u0000',
    'that is long': () => '1'.repeat(5_000),
    'that is no text': () => ({ a: 1 }),
  };

  test('a damaged offset recovers nothing, and the chat can be joined again', async () => {
    const { match, alice, bob } = await joinedPair();
    await say(alice, match, 'one');
    await eventually(() => seqs(bob).length === 1, 'the message');
    const kept = { pid: bob._pid, offset: bob._lastOffset };
    for (const [how, damage] of Object.entries(DAMAGES)) {
      Object.assign(bob, { _pid: kept.pid, _lastOffset: damage(kept.offset) });
      await comeBack(bob);
      assert.equal(bob.recovered, false, how);
      assert.notEqual(bob._pid, kept.pid, how);
      assert.equal((await refused(bob, 'leave_chat', match.id)).code, 'NOT_JOINED', how);
    }
    assert.equal((await done(bob, 'join_chat', { matchId: match.id, sinceSeq: 1 })).lastSeq, 1);
    await say(alice, match, 'two');
    await eventually(() => seqs(bob).length === 2, 'the next message');
    assert.deepEqual(seqs(bob), [1, 2]);
    Object.assign(bob, { _pid: kept.pid, _lastOffset: kept.offset });
    await comeBack(bob);
    assert.equal(bob.recovered, true, 'as it was it recovers');
  });

  test('the offset of the pid before counts for no later pid', async () => {
    const { match, alice, bob } = await joinedPair();
    await say(alice, match, 'one');
    await eventually(() => seqs(bob).length === 1, 'the message');
    const offset = bob._lastOffset;
    bob._pid = undefined;
    await comeBack(bob);
    assert.deepEqual([bob.recovered, bob._lastOffset], [false, offset]);
    await comeBack(bob);
    assert.equal(bob.recovered, false, 'the client brings the old offset with the new pid');
  });

  test('a socket with the same pid that still lives is closed, and the later one goes on', async () => {
    const { match, alice, bob } = await joinedPair();
    const twin = await connect(stack, match.bob, { gateway: 1 });
    const closed = new Promise((resolve) => bob.once('disconnect', resolve));
    bob.io.reconnection(false);
    twin._pid = bob._pid;
    twin._lastOffset = bob._lastOffset;
    await comeBack(twin, { gateway: 1 });
    assert.equal(twin.recovered, true);
    assert.equal(await closed, 'transport close');
    const received = next(twin, 'receive_message');
    await say(alice, match, 'to the later one');
    assert.equal((await received).message, 'to the later one');
  });

  test('a socket that still lives is closed also when its client comes back without a cursor', async () => {
    const match = await newMatch(stack);
    const ghost = await connect(stack, match.bob);
    const closed = new Promise((resolve) => ghost.once('disconnect', resolve));
    ghost.io.reconnection(false);
    const bob = await connect(stack, match.bob, { gateway: 1 });
    bob._pid = ghost._pid;
    await comeBack(bob);
    assert.equal(bob.recovered, false);
    assert.equal(await closed, 'transport close');
  });
});

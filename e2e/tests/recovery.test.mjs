// Connection state recovery: a client whose connection broke goes on, on any gateway, as if nothing had happened.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { useStack } from './support/stack.mjs';
import { connect, connected, done, eventually, newMatch, next, refused, rest, seen, serviceToken, userToken } from './support/people.mjs';

describe('recovery', () => {
  const stack = useStack();

  const seqs = (socket) => seen(socket, 'receive_message').map(({ seq }) => seq);

  /** Breaks the connection as a dead network would, lets `meanwhile` happen, and comes back through another gateway. */
  async function comeBack(socket, { gateway = 1, meanwhile = async () => {} } = {}) {
    socket.io.reconnection(false);
    const gone = new Promise((resolve) => socket.once('disconnect', resolve));
    socket.io.engine.close();
    await gone;
    await meanwhile();
    socket.io.uri = stack.url(gateway);
    socket.connect();
    await connected(socket);
  }

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

  test('a client that has heard nothing yet recovers too', async () => {
    const match = await newMatch(stack);
    const bob = await connect(stack, match.bob);
    await comeBack(bob);
    assert.equal(bob.recovered, true);
    const joined = await joinedPair();
    await comeBack(joined.bob, { meanwhile: () => say(joined.alice, joined.match, 'first') });
    await eventually(() => seqs(joined.bob).length === 1, 'the first message');
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

  test("a pid of another user, a mangled offset and a pid without an offset recover nothing of anybody's", async () => {
    const { match, alice, bob } = await joinedPair();
    await say(alice, match, 'secret');
    await eventually(() => seqs(bob).length === 1, 'the message');
    const mallory = await connect(stack, 'mallory');
    mallory._pid = bob._pid;
    mallory._lastOffset = bob._lastOffset;
    await comeBack(mallory, { meanwhile: () => say(alice, match, 'more') });
    assert.equal(mallory.recovered, false);
    for (const offset of ['1~', '1~xxxxxxxx~a:1:1', '\u0000', `${bob._lastOffset}~`, '1'.repeat(5_000)]) {
      bob._lastOffset = offset;
      await comeBack(bob);
      assert.equal(bob.recovered, true);
      assert.equal((await refused(bob, 'leave_chat', match.id)).code, 'NOT_JOINED');
    }
    assert.deepEqual(seqs(mallory), []);
    assert.deepEqual(seqs(bob), [1, 2]);
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
});

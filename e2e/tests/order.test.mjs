// What one socket emits takes effect in its order, and nobody is shown as typing who has stopped.
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
  pair,
  rest,
  seen,
  serviceToken,
  upTo,
  within,
} from './support/people.mjs';
import { sql } from './support/raw.mjs';

const LONG = 5_000;
const REPETITIONS = 50;

const UNLIMITED = '100000/100000';
const stack = useStack({
  env: { LIMIT_SENDS: UNLIMITED, LIMIT_JOINS: UNLIMITED, LIMIT_TYPING: UNLIMITED, LIMIT_EVENTS: UNLIMITED },
});

/** Two people of a chat that has thousands of messages already. Joins of it take their time. */
async function longChat() {
  const both = await pair(stack);
  const body = JSON.stringify('x'.repeat(500));
  await sql(
    stack,
    `INSERT INTO messages (match_id, seq, sender_id, client_id, origin, by_rest, body, created_at)
       SELECT '${both.match.id}', n, '${both.match.alice}', 'old-' || n, NULL, false, '${body}', now() FROM generate_series(1, ${LONG}) n;
     UPDATE matches SET last_seq = ${LONG} WHERE match_id = '${both.match.id}'`,
  );
  return both;
}

/** Emits one after the other, without waiting; the acks, all successes, and the order in which they came. */
async function burst(socket, events) {
  const order = [];
  const acks = await Promise.all(
    events.map(async ([event, ...args], i) => {
      const ack = await done(socket, event, ...args);
      order.push(i);
      return ack;
    }),
  );
  return { acks, order };
}

/** What a socket was shown of a chat from now on: `true` and `false` for typing, messages by their text. */
function shownTo(socket) {
  const shown = [];
  socket.on('user_typing', ({ isTyping }) => shown.push(isTyping));
  socket.on('receive_message', ({ message }) => shown.push(message));
  return shown;
}

describe('what one socket emits', () => {
  test('join, typing and a message in one tick leave nobody shown as typing', async () => {
    const { match, alice, bob } = await longChat();
    await done(bob, 'join_chat', match.id);
    const shown = shownTo(bob);
    for (const round of upTo(REPETITIONS)) {
      const { acks, order } = await burst(alice, [
        ['join_chat', { matchId: match.id, sinceSeq: 0 }],
        ['typing', { matchId: match.id, isTyping: true }],
        ['send_message', { matchId: match.id, message: `m${round}` }],
      ]);
      assert.deepEqual(order, [0, 1, 2]);
      assert.equal(acks[2].seq, acks[0].lastSeq + 1, 'the message comes after what the join says');
      await done(alice, 'leave_chat', match.id);
      await eventually(() => shown.length === 4, 'all of it');
      assert.deepEqual(shown.splice(0), [true, false, `m${round}`, false], `round ${round}`);
    }
  });

  test('a join after a message knows of it', async () => {
    const { match, alice } = await longChat();
    for (const round of upTo(REPETITIONS)) {
      const { acks, order } = await burst(alice, [
        ['send_message', { matchId: match.id, message: `a${round}` }],
        ['send_message', { matchId: match.id, message: `b${round}` }],
        ['join_chat', match.id],
        ['leave_chat', match.id],
        ['send_message', { matchId: match.id, message: `c${round}` }],
      ]);
      assert.deepEqual(order, [0, 1, 2, 3, 4]);
      assert.equal(acks[2].lastSeq, acks[1].seq);
      assert.equal(acks[4].seq, acks[1].seq + 1);
    }
  });

  test('typing after a message is shown after it, and stays', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const shown = shownTo(bob);
    for (const round of upTo(REPETITIONS)) {
      await burst(alice, [
        ['send_message', { matchId: match.id, message: `m${round}` }],
        ['typing', { matchId: match.id, isTyping: true }],
      ]);
      await eventually(() => shown.length === 2, 'both');
      assert.deepEqual(shown.splice(0), [`m${round}`, true], `round ${round}`);
      await done(alice, 'typing', { matchId: match.id, isTyping: false });
      await eventually(() => shown.length === 1, 'the end');
      assert.deepEqual(shown.splice(0), [false]);
    }
  });

  test('a join that leaves the other chats comes before what is emitted to them after it', async () => {
    const { match, alice } = await longChat();
    const other = await newMatch(stack, [match.alice, `c-${randomUUID()}`]);
    for (let round = 0; round < 20; round += 1) {
      await done(alice, 'join_chat', other.id);
      const [joined, typed, left] = await Promise.all([
        ask(alice, 'join_chat', { matchId: match.id, sinceSeq: 0 }),
        ask(alice, 'typing', { matchId: other.id, isTyping: true }),
        ask(alice, 'leave_chat', other.id),
      ]);
      assert.deepEqual([joined.ok, typed.error?.code, left.error?.code], [true, 'NOT_JOINED', 'NOT_JOINED']);
    }
  });

  test('chats do not wait for each other', async () => {
    const { match, alice } = await joinedPair(stack);
    const other = await newMatch(stack, [match.alice, `c-${randomUUID()}`]);
    // A message to the first chat cannot be stored while its row is locked.
    const locked = sql(
      stack,
      `BEGIN; UPDATE matches SET last_seq = last_seq WHERE match_id = '${match.id}'; SELECT pg_sleep(1.5); COMMIT`,
    );
    const isLocked = `SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%${match.id}%pg_sleep%' AND wait_event = 'PgSleep'`;
    await eventually(async () => Number(await sql(stack, isLocked)) > 0, 'the lock');
    const order = [];
    const note = (name, promise) => promise.then((ack) => order.push(`${name} ${ack.ok}`));
    await Promise.all([
      note('message', ask(alice, 'send_message', { matchId: match.id, message: 'waits' })),
      note('typing', ask(alice, 'typing', { matchId: match.id, isTyping: true })),
      note('other join', ask(alice, 'join_chat', { matchId: other.id, keepOthers: true })),
      note('other message', ask(alice, 'send_message', { matchId: other.id, message: 'does not' })),
      note('other typing', ask(alice, 'typing', { matchId: other.id, isTyping: true })),
    ]);
    await locked;
    assert.deepEqual(order, ['other join true', 'other message true', 'other typing true', 'message true', 'typing true']);
  });

  test('typing that waited for a join is not shown of a socket that has gone meanwhile', async () => {
    const { match, alice, bob } = await longChat();
    await done(bob, 'join_chat', match.id);
    const shown = shownTo(bob);
    for (const round of upTo(10)) {
      const phone = await connect(stack, match.alice);
      phone.emit('join_chat', { matchId: match.id, sinceSeq: 0 });
      phone.emit('typing', { matchId: match.id, isTyping: true });
      phone.emit('send_message', { matchId: match.id, message: `m${round}` });
      phone.emit('typing', { matchId: match.id, isTyping: true });
      phone.disconnect();
      await done(alice, 'send_message', { matchId: match.id, message: `after${round}` });
      await eventually(() => shown.includes(`after${round}`) && shown.includes(`m${round}`), 'both messages');
    }
    // What comes later than its end would come within a moment.
    await done(alice, 'send_message', { matchId: match.id, message: 'end' });
    await eventually(() => shown.includes('end'), 'the end');
    const typing = shown.filter((item) => typeof item === 'boolean');
    assert.notEqual(typing.at(-1), true, JSON.stringify(shown));
  });
});

describe('the end of typing', () => {
  /** A pair of which Bob is shown Alice as typing. */
  async function typing() {
    const both = await joinedPair(stack);
    const told = next(both.bob, 'user_typing');
    await done(both.alice, 'typing', { matchId: both.match.id, isTyping: true });
    assert.equal((await told).isTyping, true);
    return both;
  }

  /** The names of the events that a socket had after it was shown typing, with what `user_typing` said. */
  function after(socket) {
    const events = socket.received.map(([name, event]) => (name === 'user_typing' ? `typing ${event.isTyping}` : name));
    return events.slice(events.indexOf('typing true') + 1);
  }

  test('is told to who leaves the chat, before chat_left', async () => {
    const { match, alice, bob } = await typing();
    await done(bob, 'leave_chat', match.id);
    await eventually(() => after(bob).includes('chat_left'), 'chat_left');
    assert.deepEqual(after(bob), ['typing false', 'chat_left']);
    await done(alice, 'typing', { matchId: match.id, isTyping: false });
    await done(bob, 'join_chat', match.id);
    await done(alice, 'send_message', { matchId: match.id, message: 'x' });
    await eventually(() => after(bob).includes('receive_message'), 'the message');
    assert.deepEqual(after(bob).filter((name) => name.startsWith('typing')), ['typing false']);
  });

  test('is told to who opens another chat, before chat_joined', async () => {
    const { match, bob } = await typing();
    const other = await newMatch(stack, [match.bob, `c-${randomUUID()}`]);
    await done(bob, 'join_chat', other.id);
    await eventually(() => after(bob).includes('chat_joined'), 'chat_joined');
    assert.deepEqual(after(bob), ['typing false', 'chat_joined']);
    assert.equal(seen(bob, 'user_typing').at(-1).matchId, match.id);
  });

  test('is told before the match is closed', async () => {
    const { match, bob } = await typing();
    await rest(stack, 'DELETE', `/matches/${match.id}`, { token: serviceToken(stack) });
    await eventually(() => after(bob).includes('match_closed'), 'match_closed');
    assert.deepEqual(after(bob), ['typing false', 'match_closed']);
  });

  test('is told to who was away meanwhile, and to who joins the same chat again', async () => {
    const { match, alice, bob } = await typing();
    await done(bob, 'join_chat', match.id);
    await done(alice, 'typing', { matchId: match.id, isTyping: false });
    await eventually(() => after(bob).includes('typing false'), 'the end, after another join of the same chat');
    const shown = next(bob, 'user_typing');
    await done(alice, 'typing', { matchId: match.id, isTyping: true });
    await shown;
    const gone = new Promise((resolve) => bob.once('disconnect', resolve));
    bob.io.engine.close();
    await within(gone, 'disconnect');
    await done(alice, 'typing', { matchId: match.id, isTyping: false });
    await connected(bob);
    assert.equal(bob.recovered, true);
    await eventually(() => seen(bob, 'user_typing').at(-1).isTyping === false, 'the end, after a recovery');
  });

  test('is not told of who was not shown as typing', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const tablet = await connect(stack, match.alice);
    await done(tablet, 'join_chat', match.id);
    for (let i = 0; i < 20; i += 1) await done(tablet, 'typing', { matchId: match.id, isTyping: false });
    await done(alice, 'typing', { matchId: match.id, isTyping: true });
    await eventually(() => seen(bob, 'user_typing').length === 1, 'true');
    await done(tablet, 'typing', { matchId: match.id, isTyping: false });
    await done(alice, 'typing', { matchId: match.id, isTyping: false });
    await done(alice, 'typing', { matchId: match.id, isTyping: false });
    await done(alice, 'send_message', { matchId: match.id, message: 'x' });
    await eventually(() => seen(bob, 'receive_message').length === 1, 'the message');
    assert.deepEqual(seen(bob, 'user_typing').map(({ isTyping }) => isTyping), [true, false]);
  });
});

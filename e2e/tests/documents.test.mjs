// The code of the documents does what they say: it is taken out of them and run. That of calls runs in a browser.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { io } from 'socket.io-client';
import { app, breakConnection, called, forgetPid, loseNext, YOURS } from './support/app.mjs';
import { longMatch } from './support/long_match.mjs';
import { HeldAnswer } from './support/held_answers.mjs';
import {
  ask, connect, connected, done, eventually, history, newMatch, next, now, pause, rest as ofRest, seen, serviceToken,
  upTo, userToken,
} from './support/people.mjs';
import { member, newGroup, patch } from './support/groups.mjs';
import { sql } from './support/raw.mjs';
import { Profile, Samples } from './support/samples.mjs';
import { useStack } from './support/stack.mjs';

const CONNECT_TIMEOUT_S = 2;
/** A page of history ends at this many bytes. */
const LARGE_MESSAGE = 'x'.repeat(4_000);

const stack = useStack({
  replicas: 1,
  milestones: [{ id: 'first', messages: 1, unlocks: ['video_call'] }],
  env: { CONNECT_TIMEOUT_S },
});
const samples = new Samples({
  document: 'docs/clients.md',
  folder: stack.dir,
  yours: YOURS,
  replaced: { "'https://realtime.example.com'": 'yours.gateway' },
});
const readme = new Samples({
  document: 'README.md',
  folder: stack.dir,
  yours: ['io', 'token', 'console'],
  replaced: { "'http://localhost:5000'": 'yours.gateway' },
});
const profile = new Profile();
const people = [];

before(() => profile.start());
after(() => people.forEach(({ signOut }) => signOut()));

/** A user of an app that is made of the samples. */
async function person(user, { gateway = 0, freshToken = async () => userToken(stack, user) } = {}) {
  const yours = { ...app(stack.url(gateway), freshToken), me: user };
  const person = { user, yours, opens: 0, ...(await samples.start(yours)) };
  person.socket.io.on('open', () => (person.opens += 1));
  person.socket.received = [];
  person.socket.onAny((...event) => person.socket.received.push(event));
  people.push(person);
  return person;
}

/** The same, connected; of a new match unless one is given. */
async function alone(match) {
  const of = match ?? (await newMatch(stack));
  const alice = await person(of.alice);
  await connected(alice.socket);
  return { match: of, alice };
}

/** The same with the chat open, and Bob in it with a client of his own. */
async function together() {
  const { match, alice } = await alone();
  const bob = await connect(stack, match.bob, { gateway: 1 });
  await Promise.all([alice.enterChat(alice.socket, match.id), done(bob, 'join_chat', match.id)]);
  return { match, alice, bob, shown: alice.openChats.get(match.id).shown };
}

const seqs = (shown) => [...shown.keys()].sort((a, b) => a - b);
const say = (socket, match, message) => done(socket, 'send_message', { matchId: match.id, message });

describe('docs/clients.md', { concurrency: 4 }, () => {
  describe('on chats', { concurrency: 6 }, () => {
    for (const [count, body] of [[240, LARGE_MESSAGE], [5_000, 'hello']]) {
      test(`a chat of ${count} messages is shown whole, and what comes meanwhile too`, async () => {
        const { match, alice } = await alone(await longMatch(stack, count, body));
        const opened = alice.enterChat(alice.socket, match.id);
        const { shown } = alice.openChats.get(match.id);
        await eventually(() => shown.size > 0, 'the first page');
        const bob = await connect(stack, match.bob, { gateway: 1 });
        await say(bob, match, 'meanwhile');
        await opened;
        await eventually(() => shown.size === count + 1, 'all messages');
        assert.deepEqual(seqs(shown), upTo(count + 1));
        assert.deepEqual(called(alice, 'showProblem'), []);
      });
    }

    test('a chat in which messages were erased is opened to its end', async () => {
      const match = await longMatch(stack, 450);
      await sql(stack, `DELETE FROM messages WHERE match_id = '${match.id}' AND seq IN (1, 200, 201, 202, 400)`);
      const { alice } = await alone(match);
      await alice.enterChat(alice.socket, match.id);
      assert.equal(alice.openChats.get(match.id).shown.size, 445);
    });

    test('the latest page comes first where the app asks for it, and older ones above it', async () => {
      const { match, alice } = await alone(await longMatch(stack, 120));
      const shown = new Map();
      assert.equal(await alice.loadOlder(match.id, shown), true);
      await alice.enterChat(alice.socket, match.id, shown);
      assert.deepEqual(seqs(shown), upTo(120).slice(-50));
      assert.equal(await alice.loadOlder(match.id, shown), true);
      assert.equal(await alice.loadOlder(match.id, shown), false);
      assert.deepEqual(seqs(shown), upTo(120));
    });

    test('an older page that is read while a message of it changes does not hide the change', async () => {
      const { match, alice } = await alone(await longMatch(stack, 60));
      const shown = new Map();
      await alice.loadOlder(match.id, shown);
      await alice.enterChat(alice.socket, match.id, shown);
      const bob = await connect(stack, match.bob);
      const held = new HeldAnswer((url) => url.includes(`${match.id}/messages?`), async () => {
        const told = next(alice.socket, 'message_changed');
        await done(bob, 'edit_message', { matchId: match.id, seq: 1, message: 'first of all' });
        await told;
      });
      await alice.loadOlder(match.id, shown).finally(() => held.stop());
      assert.deepEqual([held.count, shown.get(1).message, shown.size], [2, 'first of all', 60]);
    });

    test('a first join that is lost with its connection is sent again', async () => {
      const { match, alice } = await alone();
      loseNext(alice.socket, 'join_chat');
      await alice.enterChat(alice.socket, match.id);
      const bob = await connect(stack, match.bob);
      await say(bob, match, 'do you hear me?');
      await eventually(() => alice.openChats.get(match.id).shown.has(1), 'the message');
    });

    test('an app that gave up a join has it sent again at the next connect, recovered or not', async () => {
      const { match, alice } = await alone();
      const chat = { shown: new Map(), joined: false, left: new AbortController() };
      alice.openChats.set(match.id, chat);
      const again = next(alice.socket, 'connect');
      breakConnection(alice.socket);
      await again;
      await eventually(() => chat.joined, 'the join');
    });

    test('a connection that is not recovered joins its chats again and misses nothing', async () => {
      const { match, alice, bob, shown } = await together();
      await say(bob, match, 'before');
      await eventually(() => shown.size === 1, 'the first message');
      forgetPid(alice.socket);
      breakConnection(alice.socket);
      await done(bob, 'edit_message', { matchId: match.id, seq: 1, message: 'long before' });
      for (const text of ['one', 'two']) await say(bob, match, text);
      await eventually(() => shown.size === 3 && shown.get(1).message === 'long before', 'what was missed');
      assert.equal(alice.socket.recovered, false);
      await say(bob, match, 'after');
      await eventually(() => shown.size === 4, 'the chat lives');
    });

    test('a chat that was left, also with its connection, is left', async () => {
      const { match, alice, bob, shown } = await together();
      loseNext(alice.socket, 'leave_chat');
      alice.leaveChat(alice.socket, match.id);
      await connected(alice.socket);
      await say(bob, match, 'are you there?');
      await eventually(() => isLeft(alice.socket, match), 'the leave');
      assert.equal(shown.size, 0);
      assert.equal(alice.openChats.size, 0);
    });

    test('a chat of somebody else is refused, and not asked for again', async () => {
      const { alice } = await alone();
      const other = await newMatch(stack);
      await assert.rejects(alice.enterChat(alice.socket, other.id), { code: 'MATCH_NOT_FOUND' });
      const again = next(alice.socket, 'connect');
      breakConnection(alice.socket);
      await again;
      assert.deepEqual([alice.openChats.size, called(alice, 'showProblem')], [0, []]);
    });

    test('a chat that cannot be opened again is a problem that is told once', async () => {
      const { match, alice } = await together();
      forgetPid(alice.socket);
      breakConnection(alice.socket);
      await ofRest(stack, 'DELETE', `/matches/${match.id}`, { token: serviceToken(stack) });
      await eventually(() => called(alice, 'showProblem').length > 0, 'the problem');
      assert.deepEqual(called(alice, 'showProblem').map(([{ code }]) => code), ['MATCH_CLOSED']);
      assert.equal(alice.openChats.size, 0);
    });

    test('a match that is closed closes the chat', async () => {
      const { match, alice } = await together();
      await ofRest(stack, 'DELETE', `/matches/${match.id}`, { token: serviceToken(stack) });
      await eventually(() => called(alice, 'showClosed').length === 1, 'the end');
      assert.equal(alice.openChats.size, 0);
    });

    test('typing is shown, told rarely, and silent after a disconnect', async () => {
      const { match, alice, bob } = await together();
      const typing = alice.typingIn(alice.socket, match.id);
      for (let key = 0; key < 30; key += 1) typing(true);
      typing(false);
      typing(false);
      await eventually(() => seen(bob, 'user_typing').length === 2, 'both');
      assert.deepEqual(seen(bob, 'user_typing').map(({ isTyping }) => isTyping), [true, false]);
      await done(bob, 'typing', { matchId: match.id, isTyping: true });
      await eventually(() => called(alice, 'showTyping').length === 1, 'the typist');
      assert.deepEqual(called(alice, 'showTyping'), [[match.id, match.bob, true]]);
      breakConnection(alice.socket);
      assert.deepEqual(called(alice, 'showTyping').at(-1), [match.id, null, false]);
    });

    test('who is online is shown in the list and in the chat, and asked anew on each connection', async () => {
      const { match, alice } = await alone();
      const last = () => called(alice, 'showPresence').at(-1);
      await alice.watchList([match.id]);
      assert.deepEqual(last(), [match.id, { online: false, lastSeen: 'earlier' }]);
      await connect(stack, match.bob, { gateway: 1 });
      await eventually(() => last()[1]?.online, 'that Bob has come');
      alice.setAppState('background');
      breakConnection(alice.socket);
      await eventually(() => last()[1] === null, 'that nobody knows');
      await eventually(() => last()[1]?.online, 'that Bob is there');
    });

    test('what becomes of messages is shown on every device', async () => {
      const { match, alice, bob, shown } = await together();
      const tablet = await person(match.alice, { gateway: 1 });
      await connected(tablet.socket);
      await tablet.enterChat(tablet.socket, match.id);
      for (const text of ['one', 'two', 'three']) await alice.send(alice.socket, match.id, text);
      await alice.edit(match.id, 1, 'uno');
      await alice.react(match.id, 2, '👍');
      await alice.unsend(match.id, 2);
      await alice.hide(match.id, 3);
      await done(bob, 'react', { matchId: match.id, seq: 1, emoji: '🎉', on: true });
      for (const of of [shown, tablet.openChats.get(match.id).shown]) {
        await eventually(() => of.get(1)?.reactions && !of.has(3), 'all changes');
        assert.deepEqual([of.get(1).message, of.get(1).reactions], ['uno', { '🎉': [match.bob] }]);
        assert.deepEqual([of.get(2).deleted, of.get(2).message], [true, undefined]);
      }
    });

    test('ticks and badges are shown', async () => {
      const { match, alice, bob } = await together();
      await say(bob, match, 'hello');
      await alice.send(alice.socket, match.id, 'hi');
      await done(bob, 'mark_read', { matchId: match.id, seq: 2 });
      await eventually(() => called(alice, 'showTicks').some(([, ticks]) => ticks.readSeq === 2), 'the ticks');
      await alice.markRead(match.id, 1);
      await eventually(() => called(alice, 'showUnread').length > 1, 'the badge');
      assert.ok(called(alice, 'showUnread').some(([, unread]) => unread === 0));
    });

    test('the members of a group are shown with their roles', async () => {
      const { match, alice } = await together();
      const group = await newGroup(stack, { owner: match.alice, members: [match.bob] });
      alice.noteMembers(group.id, group.json.members);
      await done(alice.socket, 'join_chat', { matchId: group.id, keepOthers: true });
      const carol = `c-${match.id}`;
      await patch(stack, null, group, { add: [member(carol, 'admin')], remove: [match.bob] });
      await eventually(() => called(alice, 'showMembers').length > 1, 'the members');
      const [id, roles] = called(alice, 'showMembers').at(-1);
      assert.deepEqual([id, [...roles]], [group.id, [[match.alice, 'owner'], [carol, 'admin']]]);
    });

    test('a milestone is shown', async () => {
      const { match, alice, bob } = await together();
      await say(bob, match, 'the first');
      await eventually(() => called(alice, 'showUnlocked').length === 1, 'the milestone');
      assert.deepEqual(called(alice, 'showUnlocked'), [[match.id, ['video_call']]]);
    });
  });

  async function isLeft(socket, match) {
    const ack = await ask(socket, 'typing', { matchId: match.id, isTyping: true });
    return ack.error?.code === 'NOT_JOINED';
  }

  describe('on sending', { concurrency: 6 }, () => {
    test('what is sent while the connection breaks is stored once and in order', async () => {
      const { match, alice, shown } = await together();
      const texts = upTo(30).map(String);
      loseNext(alice.socket, 'send_message');
      const sends = texts.map((text) => alice.send(alice.socket, match.id, text));
      for (const at of [2, 12, 22]) sends[at].then(() => breakConnection(alice.socket));
      await Promise.all(sends);
      const stored = await history(stack, match);
      assert.deepEqual(stored.map(({ message }) => message), texts);
      assert.deepEqual(seqs(shown).map((seq) => shown.get(seq).message), texts);
    });

    test('a send that is refused does not hold up the next one', async () => {
      const { match, alice } = await alone();
      const tooLong = alice.send(alice.socket, match.id, 'x'.repeat(4_001));
      const refused = assert.rejects(tooLong, { code: 'PAYLOAD_TOO_LARGE' });
      const { seq } = await alice.send(alice.socket, match.id, 'the next one');
      await refused;
      assert.equal(seq, 1);
    });

    test('what waits at a sign-out is not sent as the next user, and stops waiting', async () => {
      const { match, alice } = await alone();
      alice.socket.disconnect();
      const sent = alice.sendReliably(alice.socket, match.id, 'of Alice alone');
      const refused = assert.rejects(sent, { name: 'AbortError' });
      alice.signOut();
      // What the page forbids, for once.
      alice.socket.auth = { token: userToken(stack, match.bob) };
      alice.socket.connect();
      await connected(alice.socket);
      await refused;
      await pause(1_000);
      alice.socket.disconnect();
      assert.deepEqual(await history(stack, match), []);
    });

    test('a request that is refused for good, or for too long, fails with the code', async () => {
      const { alice } = await alone();
      await assert.rejects(alice.sendReliably(alice.socket, 'no-such-match', 'x'), { code: 'MATCH_NOT_FOUND' });
      const busy = { ok: false, error: { code: 'UNAVAILABLE', message: 'Later.', retryable: true, retryAfterMs: 50 } };
      const fake = { timeout: () => ({ emitWithAck: async () => busy }) };
      await assert.rejects(alice.ask(fake, 'join_chat', {}, { forMs: 400 }), { code: 'UNAVAILABLE', retryable: true });
      const silent = { timeout: () => ({ emitWithAck: () => Promise.reject(new Error('operation has timed out')) }) };
      await assert.rejects(alice.ask(silent, 'join_chat', {}, { forMs: 400 }), { code: 'NO_ANSWER', retryable: true });
    });

    test('a message saved by REST is shown to both once, whatever its fields are called', async () => {
      const { match, alice, bob, shown } = await together();
      const arrived = next(bob, 'receive_message');
      const saved = await alice.save(alice.socket, match.id, { text: 'hello', ok: false, error: 'none' });
      assert.equal(saved.seq, 1);
      assert.equal((await arrived).message.text, 'hello');
      assert.deepEqual(seqs(shown), [1]);
      assert.deepEqual(seen(alice.socket, 'receive_message'), []);
      const other = await newMatch(stack);
      await assert.rejects(alice.save(alice.socket, other.id, 'x'), { code: 'MATCH_NOT_FOUND' });
    });

    test('REST is asked again while it has no token or no answer, and without a socket', async () => {
      const match = await newMatch(stack);
      let asked = 0;
      const freshToken = async () => {
        asked += 1;
        if (asked < 3) throw new Error('no token now');
        return userToken(stack, match.alice);
      };
      const alice = await person(match.alice, { freshToken });
      alice.socket.disconnect();
      const saved = await alice.save(alice.socket, match.id, 'at last');
      assert.equal(saved.seq, 1);
    });
  });

  describe('on tokens', { concurrency: 8 }, () => {
    const expiring = (user, seconds, claims) => userToken(stack, user, { exp: now() + seconds, ...claims });

    test('a cached token that has expired makes a few connections a minute', async () => {
      const cached = expiring('late', -60);
      const alice = await person('late', { freshToken: async () => cached });
      await pause(8_000);
      assert.ok(alice.opens >= 2 && alice.opens <= 3, `${alice.opens} connections in 8 s`);
    });

    test('a token that is good again connects by itself', async () => {
      let token = expiring('later', -60);
      const alice = await person('later', { freshToken: async () => token });
      await eventually(() => alice.opens === 1, 'the first try');
      token = userToken(stack, 'later');
      await connected(alice.socket);
    });

    test('a token that nobody can renew, or not for long, is not asked for again and again', async () => {
      let asked = 0;
      const cached = expiring('brief', 20);
      const [alice, bob] = await Promise.all([
        person('brief', { freshToken: async () => ((asked += 1), cached) }),
        person('briefer', { freshToken: async () => expiring('briefer', 20, { jti: String((asked += 1)) }) }),
      ]);
      await Promise.all([alice, bob].map(({ socket }) => connected(socket)));
      await pause(3_000);
      assert.ok(asked >= 4 && asked <= 8, `${asked} tokens`);
      assert.ok(alice.socket.connected && bob.socket.connected);
    });

    test('a token about to expire is renewed without a disconnect', async () => {
      const tokens = [expiring('renewed', 30), expiring('renewed', 3_600)];
      const freshToken = async () => (tokens.length > 1 ? tokens.shift() : tokens[0]);
      const alice = await person('renewed', { freshToken });
      const renewed = new Promise((resolve) => {
        const { packet } = alice.socket;
        alice.socket.packet = (content) => {
          packet.call(alice.socket, content);
          if (content.data[0] === 'refresh_token') resolve(content.data[1]);
        };
      });
      assert.deepEqual(await renewed, { token: tokens[0] });
      await done(alice.socket, 'refresh_token', { token: tokens[0] });
      assert.equal(alice.opens, 1);
      assert.deepEqual(called(alice, 'showProblem'), []);
    });

    test('no token at the renewal is a problem that is told', async () => {
      let asked = 0;
      const freshToken = async () => {
        asked += 1;
        if (asked > 1) throw new Error('no token now');
        return expiring('unlucky', 30);
      };
      const alice = await person('unlucky', { freshToken });
      await eventually(() => called(alice, 'showProblem').length === 1, 'the problem');
    });

    test('a token that is refused asks the user to sign in, once', async () => {
      let token = 'no token at all';
      const alice = await person('somebody', { freshToken: async () => token });
      await eventually(() => called(alice, 'signIn').length > 0, 'the sign-in');
      await pause(1_500);
      assert.deepEqual([called(alice, 'signIn').length, alice.opens], [1, 1]);
      token = userToken(stack, 'somebody');
      alice.socket.connect();
      await connected(alice.socket);
    });

    test('a token that comes later than the gateway waits is for the next connection, and breaks none', async () => {
      let asked = 0;
      const freshToken = async () => {
        asked += 1;
        // The client comes back 0.5 to 1.5 s after its first connection was closed.
        if (asked === 1) await pause(CONNECT_TIMEOUT_S * 1_000 + 2_000);
        return userToken(stack, 'slow');
      };
      const alice = await person('slow', { freshToken });
      await connected(alice.socket);
      await pause(CONNECT_TIMEOUT_S * 1_000 + 1_500);
      assert.ok(alice.socket.connected);
      assert.equal(seen(alice.socket, 'disconnect').length, 0);
      assert.equal(alice.opens, 2);
    });
  });
});

describe('docs/clients.md while a gateway dies', () => {
  test('all joins that were under way are made again, and every chat lives', async () => {
    const first = await newMatch(stack);
    const others = await Promise.all(upTo(7).map(() => newMatch(stack, first.members)));
    const chats = [first, ...others];
    const { alice } = await alone(first);
    const bob = await connect(stack, first.bob, { gateway: 1 });
    const joins = chats.map(({ id }) => alice.enterChat(alice.socket, id));
    await stack.control('kill', 'gateway-0');
    await stack.control('start', 'gateway-0');
    await Promise.all(joins);
    for (const chat of chats) await say(bob, chat, 'still there?');
    await eventually(() => chats.every(({ id }) => alice.openChats.get(id).shown.size === 1), 'a message in each');
  });
});

test('README.md sends, and sends reliably', async () => {
  const said = [];
  const bob = await connect(stack, 'bob', { gateway: 1 });
  await done(bob, 'join_chat', 'demo');
  const token = userToken(stack, 'alice');
  const heard = next(bob, 'receive_message');
  const console = { log: (...args) => said.push(args) };
  const sample = await readme.start({ io, token, console, gateway: stack.url(0) });
  people.push({ signOut: () => sample.socket.disconnect() });
  // What is stored before the join is in its page, and comes as no event.
  await next(sample.socket, 'chat_joined');
  assert.equal((await heard).message, 'hello');
  await say(bob, { id: 'demo' }, 'hello yourself');
  await eventually(() => said.length === 1, 'the line');
  assert.deepEqual(said, [['bob', 'hello yourself']]);
  const joined = next(sample.socket, 'chat_joined');
  forgetPid(sample.socket);
  breakConnection(sample.socket);
  await joined;
  await say(bob, { id: 'demo' }, 'still there?');
  await eventually(() => said.length === 2, 'the line');
  const { seq } = await sample.sendReliably(sample.socket, 'demo', 'surely');
  assert.equal((await history(stack, { id: 'demo', alice: 'alice' })).find((one) => one.seq === seq).message, 'surely');
  await assert.rejects(sample.sendReliably(sample.socket, 'nothing', 'x'), { code: 'MATCH_NOT_FOUND' });
  const late = { ok: false, error: { code: 'UNAVAILABLE', message: 'Later.', retryable: true, retryAfterMs: 10 } };
  const answers = [Promise.reject(new Error('operation has timed out')), late, { ok: true, seq: 1 }];
  const fake = { timeout: () => ({ emitWithAck: async () => answers.shift() }) };
  assert.equal((await sample.sendReliably(fake, 'demo', 'x')).seq, 1);
  answers.push(late);
  await assert.rejects(sample.sendReliably(fake, 'demo', 'x', 'an id', 0), { code: 'UNAVAILABLE' });
});

// documents_calls.test.mjs and documents_sync.test.mjs use the others.
test('every function of every sample was used, but for those of calls and syncs', async () => {
  const scripts = await profile.stop();
  const elsewhere = ['Calls', 'After an absence'];
  for (const document of [samples, readme]) {
    assert.ok(!/^```(js|ts|typescript)/m.test(document.text), 'a fence that is not run');
    document.record(scripts);
    assert.ok(document.size > 0);
    assert.deepEqual(document.unused((section) => !elsewhere.includes(section)), []);
  }
});

// What a stranger can learn of a match from the time that an answer takes: nothing, not even whether it exists.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { useStack } from './support/stack.mjs';
import { connect, done, eventually, newMatch, rest, serviceToken, upTo, userToken } from './support/people.mjs';

/** So many that an equal chance comes out between 40 and 60 % in all but one of ten thousand runs. */
const PAIRS = 400;
const LIMITS = {
  LIMIT_SENDS: '100000/100000',
  LIMIT_JOINS: '100000/100000',
  LIMIT_READS: '100000/100000',
  LIMIT_HISTORY: '100000/100000',
  LIMIT_EVENTS: '100000/100000',
};

describe('a stranger', () => {
  let stop = false;
  let traffic;
  // Before the stack is stopped, which the traffic needs.
  after(async () => {
    stop = true;
    await traffic;
  });
  const stack = useStack({ env: LIMITS });
  let match, closed, stranger, members;

  before(async () => {
    match = await newMatch(stack);
    members = await Promise.all([match.alice, match.bob].map((user, i) => connect(stack, user, { gateway: i })));
    await Promise.all(members.map((socket) => done(socket, 'join_chat', match.id)));
    for (const batch of upTo(20)) {
      const sent = upTo(50).map((i) =>
        done(members[0], 'send_message', { matchId: match.id, message: `${batch}.${i} ${'x'.repeat(1_000)}` }),
      );
      await Promise.all(sent);
    }
    closed = await newMatch(stack);
    stranger = await connect(stack, `s-${randomUUID()}`);
    // The members use the match meanwhile.
    traffic = (async () => {
      for (let i = 0; !stop; i += 1) {
        await done(members[i % 2], 'send_message', { matchId: match.id, message: `live ${i}` });
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
  });
  /** How often what is asked of the existing match is answered before what is asked of an absent one. */
  async function shareOfForeignFirst(ask, foreign = match.id) {
    let first = 0;
    for (const i of upTo(PAIRS)) {
      const absent = `m-${randomUUID()}`;
      const answers = [];
      const asked = (i % 2 ? [foreign, absent] : [absent, foreign]).map((id) => ask(id).then(() => answers.push(id)));
      await Promise.all(asked);
      first += answers[0] === foreign ? 1 : 0;
    }
    return first / PAIRS;
  }

  function assertEven(share, what) {
    assert.ok(share >= 0.4 && share <= 0.6, `${what}: the foreign match was answered first in ${share * 100} %`);
  }

  const refusedWith = (event, argument) => async (id) => {
    const ack = await stranger.timeout(10_000).emitWithAck(event, argument(id));
    assert.equal(ack.error?.code, 'MATCH_NOT_FOUND', JSON.stringify(ack));
  };
  const getting = (path) => async (id) => {
    const answer = await rest(stack, 'GET', `/matches/${id}${path}`, { token: userToken(stack, stranger.user) });
    assert.equal(answer.status, 404);
  };
  const posting = async (id) => {
    const token = userToken(stack, stranger.user);
    const answer = await rest(stack, 'POST', `/matches/${id}/messages`, { token, body: { message: 'hi' } });
    assert.equal(answer.status, 404);
  };

  const watching = (socket) => async (id) => {
    const ack = await socket().timeout(10_000).emitWithAck('watch_presence', { matchIds: [id] });
    assert.deepEqual(ack, { ok: true, presence: { [id]: null } });
  };

  const changing = (method, path, body) => async (id) => {
    const token = userToken(stack, stranger.user);
    const answer = await rest(stack, method, `/matches/${id}${path}`, { token, body });
    assert.equal(answer.status, 404);
  };

  for (const [what, ask] of [
    ['send_message', refusedWith('send_message', (id) => ({ matchId: id, message: 'hi' }))],
    ['join_chat', refusedWith('join_chat', (id) => ({ matchId: id, sinceSeq: 0, keepOthers: true }))],
    ['video_call_request', refusedWith('video_call_request', (id) => ({ matchId: id }))],
    ['video_call_accepted', refusedWith('video_call_accepted', (id) => ({ matchId: id }))],
    ['video_call_ended', refusedWith('video_call_ended', (id) => ({ matchId: id }))],
    ['watch_presence', watching(() => stranger)],
    ['GET of a match', getting('')],
    ['GET of messages', getting('/messages?limit=200')],
    ['GET of milestones', getting('/milestones')],
    ['POST of a message', posting],
    ['PATCH of members', changing('PATCH', '/members', { remove: ['x'] })],
    ['DELETE of the own membership', changing('DELETE', '/members/me')],
  ]) {
    test(`cannot tell by the time of ${what} whether a match exists`, async () => {
      // A call of a socket to one match waits for the one before it, so two of them would only show their order.
      const alternating = what.startsWith('video_call') || what === 'join_chat';
      const share = alternating ? await shareOfFaster(ask) : await shareOfForeignFirst(ask);
      assertEven(share, what);
    });
  }

  /** The same where a socket's commands are done one after the other: how often the existing match's answer takes less time. */
  async function shareOfFaster(ask, foreign = match.id) {
    let faster = 0;
    for (const i of upTo(PAIRS)) {
      const took = {};
      for (const id of i % 2 ? ['foreign', 'absent'] : ['absent', 'foreign']) {
        const began = performance.now();
        await ask(id === 'foreign' ? foreign : `m-${randomUUID()}`);
        took[id] = performance.now() - began;
      }
      faster += took.foreign < took.absent ? 1 : 0;
    }
    return faster / PAIRS;
  }

  test('cannot tell who is private from who has blocked', async () => {
    const user = `u-${randomUUID()}`;
    const [hidden, blocked] = [await newMatch(stack, [user, `h-${user}`]), await newMatch(stack, [user, `b-${user}`])];
    const put = (by, path, body) => rest(stack, 'PUT', `/users/me/${path}`, { token: userToken(stack, by), body });
    await put(hidden.bob, 'settings', { presence: 'private' });
    await put(blocked.bob, `blocks/${user}`);
    const watch = watching(await connect(stack, user).then((socket) => () => socket));
    let first = 0;
    for (const i of upTo(PAIRS)) {
      const answers = [];
      const ids = i % 2 ? [hidden.id, blocked.id] : [blocked.id, hidden.id];
      await Promise.all(ids.map((id) => watch(id).then(() => answers.push(id))));
      first += answers[0] === hidden.id ? 1 : 0;
    }
    assertEven(first / PAIRS, 'watch_presence');
  });

  test('cannot tell a closed match from one that does not exist', async () => {
    const { alice } = closed;
    const member = await connect(stack, alice);
    await done(member, 'send_message', { matchId: closed.id, message: 'last words' });
    await rest(stack, 'DELETE', `/matches/${closed.id}`, { token: serviceToken(stack) });
    await eventually(() => member.received.some(([event]) => event === 'match_closed'), 'the end of the match');
    const send = refusedWith('send_message', (id) => ({ matchId: id, message: 'hi' }));
    const join = refusedWith('join_chat', (id) => ({ matchId: id, sinceSeq: 0 }));
    assertEven(await shareOfForeignFirst(send, closed.id), 'send_message');
    assertEven(await shareOfFaster(join, closed.id), 'join_chat');
  });
});

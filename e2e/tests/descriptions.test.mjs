// What the server says of itself is what it does: every event, ack and answer of a journey is as /asyncapi.json and
// /openapi.json describe it, with no field that they do not know, and each event that they describe is met.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { randomUUID } from 'node:crypto';
import { described } from './support/described.mjs';
import { changeMembers } from './support/grpc.mjs';
import {
  ask,
  connect,
  done,
  eventually,
  newMatch,
  next,
  rest,
  seen,
  serviceToken,
  userToken,
} from './support/people.mjs';
import { useStack } from './support/stack.mjs';

const stack = useStack({
  gateways: 2,
  replicas: 1,
  milestones: [{ id: 'first', messages: 2, unlocks: ['video_call'] }],
  env: { EDIT_WINDOW: '1h', PRESENCE_GRACE_MS: 500 },
});

/** What only a token that runs out, or the end of a gateway, brings about. */
const MET_ELSEWHERE = ['token_expiring', 'server_draining'];

describe('the descriptions', () => {
  let api;
  const met = new Set();
  before(async () => {
    const read = async (name) => (await fetch(`${stack.url(0)}/${name}.json`)).json();
    api = described(await read('asyncapi'), await read('openapi'));
  });

  /** Emits a command that is described, and returns its ack, which is as well. */
  async function command(socket, name, argument) {
    api.assertCommand(name, argument);
    const ack = await done(socket, name, argument);
    api.assertAck(name, ack);
    met.add(name);
    return ack;
  }

  async function refusal(socket, name, argument) {
    api.assertAck(name, await ask(socket, name, argument));
  }

  /** Calls what is described, and returns the answer, which is as well. */
  async function call(operation, user, { path = {}, query = '', body } = {}) {
    const { method, url } = api.operation(operation, path);
    const token = user ? userToken(stack, user) : serviceToken(stack);
    const answer = await rest(stack, method, url + query, { token, body });
    api.assertAnswer(operation, answer);
    return answer.json;
  }

  function assertHeard(socket) {
    for (const [name, argument] of socket.received) {
      api.assertEvent(name, argument);
      met.add(name);
    }
  }

  async function together() {
    const match = await newMatch(stack);
    const alice = await connect(stack, match.alice);
    const bob = await connect(stack, match.bob, { gateway: 1 });
    return { match, matchId: match.id, alice, bob };
  }

  test('hold for a chat and everything that becomes of its messages', async () => {
    const { match, matchId, alice, bob } = await together();
    const other = await newMatch(stack);
    await command(alice, 'send_message', { matchId, message: 'unseen' });
    await command(bob, 'join_chat', { matchId, sinceSeq: 0, sinceRev: 0, keepOthers: true });
    await command(alice, 'join_chat', matchId);
    const typed = next(bob, 'user_typing');
    await command(alice, 'typing', { matchId, isTyping: true });
    await typed;
    const message = { matchId, message: { text: 'hi' }, clientId: 'c', replyTo: 1 };
    const { seq } = await command(alice, 'send_message', message);
    await command(alice, 'edit_message', { matchId, seq, message: 'hello', clientId: 'e' });
    await command(bob, 'react', { matchId, seq, emoji: '👍', on: true, clientId: 'r' });
    await command(bob, 'watch_presence', { matchIds: [matchId, 'absent'] });
    await command(bob, 'mark_read', { matchId, seq });
    await command(bob, 'mark_delivered', { chats: [{ matchId, seq }] });
    await command(alice, 'delete_message', { matchId, seq: 1, scope: 'everyone' });
    await command(bob, 'delete_message', { matchId, seq, scope: 'me' });
    await command(bob, 'set_app_state', { state: 'background' });
    await eventually(() => seen(alice, 'presence_changed').length, 'that Bob has gone');
    const token = userToken(stack, match.alice);
    await command(alice, 'refresh_token', { token });
    for (const matchId of [other.id, 'no id!']) await refusal(alice, 'join_chat', { matchId });
    await refusal(alice, 'react', { matchId, seq: 99, emoji: '👍', on: true });
    await command(alice, 'sync', { known: { [matchId]: [0, 0] }, messages: 50 });
    alice.emit('send_message', { matchId: other.id, message: 'x', clientId: 'mine' });
    alice.emit('join_chat', other.id);
    alice.emit('video_call_request', { matchId: other.id });
    for (const name of ['message_error', 'chat_join_error', 'call_error']) {
      await eventually(() => seen(alice, name).length, name);
    }
    await eventually(() => seen(bob, 'milestone_reached').length, 'the milestone');
    await eventually(() => seen(bob, 'message_changed').length === 4, 'all changes');
    await eventually(() => seen(alice, 'receipt_updated').length, 'the receipt');
    await command(bob, 'leave_chat', matchId);
    await changeMembers(stack, match, { add: ['carol'], remove: [match.bob] });
    await eventually(() => seen(alice, 'membership_changed').length && seen(bob, 'match_closed').length, 'the change');
    [alice, bob].forEach(assertHeard);
  });

  test('hold for calls', async () => {
    const { matchId, alice, bob } = await together();
    for (const message of ['a', 'b']) await command(alice, 'send_message', { matchId, message });
    await eventually(async () => (await command(alice, 'join_chat', matchId)).unlocked.length, 'the milestone');
    const rings = () => next(bob, 'video_call_incoming');
    let ringing = rings();
    await command(alice, 'video_call_request', { matchId, media: { video: true } });
    await ringing;
    assert.ok((await command(bob, 'join_chat', matchId)).call);
    const rejected = next(alice, 'video_call_rejected');
    await command(bob, 'video_call_rejected', { matchId, reason: 'not now' });
    await rejected;
    ringing = rings();
    const { callId } = await command(alice, 'video_call_request', { matchId });
    await ringing;
    await refusal(alice, 'video_call_signal', { callId, offer: {} });
    const accepted = next(alice, 'video_call_accepted');
    await command(bob, 'video_call_accepted', { matchId, callId, signal: { answer: 1 } });
    await accepted;
    const signaled = next(bob, 'video_call_signal');
    await command(alice, 'video_call_signal', { callId, offer: { sdp: '…' } });
    await signaled;
    const ended = next(bob, 'video_call_ended');
    await command(alice, 'video_call_ended', { matchId, callId });
    await ended;
    [alice, bob].forEach(assertHeard);
  });

  test('hold for REST', async () => {
    const match = await newMatch(stack);
    const path = { id: match.id };
    const of = (operation, options) => call(operation, match.alice, { path, ...options });
    await call('putMatch', null, { path: { id: `m-${randomUUID()}` }, body: { members: match.members } });
    const { seq } = await of('postMessage', { body: { message: { text: 'hi' }, clientId: 'c' } });
    const message = { path: { ...path, seq } };
    await of('editMessage', { ...message, body: { message: 'hello' } });
    await of('react', { path: { ...path, seq, emoji: '👍' } });
    await of('getMatch');
    await of('listMatches', { query: '?limit=1' });
    await of('listMatches', { query: '?order=activity&limit=1' });
    await of('listMessages');
    await of('listChanges');
    await of('getMilestones');
    await of('getReceipts');
    await of('markReceipts', { body: { seq } });
    await of('sync', { body: { known: { [match.id]: [0, 0] } } });
    await of('getMySettings');
    await of('putMySettings', { body: { receipts: 'shared' } });
    await of('deleteMessage', { ...message, query: '?scope=everyone' });
    await of('report', { body: { reason: 'spam', seqs: [seq], block: true } });
    await of('listMyBlocks');
    const { reports } = await call('listReports', null, { query: '?limit=200' });
    const { reportId: report } = reports.find(({ matchId }) => matchId === match.id);
    await call('getReport', null, { path: { report } });
    await call('resolveReport', null, { path: { report } });
    await call('revokeUser', null, { path: { id: match.alice }, body: {} });
    await call('closeMatch', null, { path });
    await call('deleteUser', null, { path: { id: match.alice } });
    await call('getErasure', null, { path: { id: match.alice } });
  });

  test('name every event that there is, and no other', () => {
    const source = readFileSync(new URL('../../proto/src/client.rs', import.meta.url), 'utf8');
    const names = new Set([...source.matchAll(/: &str = "(\w+)"/g)].map(([, name]) => name));
    assert.deepEqual([...api.names].toSorted(), [...names].toSorted());
    const unmet = [...api.names].filter((name) => !met.has(name));
    assert.deepEqual(unmet, MET_ELSEWHERE);
  });
});

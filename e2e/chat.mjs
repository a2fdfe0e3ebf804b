// A terminal chat on the official client: ./dev chat USER [MATCH] [--url URL] [--dir DIR]
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import readline from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { io } from 'socket.io-client';

const HELP = `Lines are sent. /reply N TEXT, /edit N TEXT, /react N EMOJI, /delete N (for all) and /hide N (for
oneself) are for message N. /call, /accept, /reject and /end are for video calls, /quit leaves.`;
const TYPING_EVERY_MS = 2000;
const RETRY_MS = 500;
const ACK_TIMEOUT_MS = 10_000;

const { user, match, url, dir } = readArguments();
const socket = io(url, { auth: { token: tokenOf(user) } });
const terminal = readline.createInterface({ input: process.stdin, output: process.stdout, prompt: `${user}> ` });
// One line after the other, so that pasted lines keep their order.
let work = Promise.resolve();
let lastSeq = 0;
let lastTyping = 0;

listen();
terminal.on('line', (line) => (work = work.then(() => obey(line.trim()))));
terminal.on('close', () => work.then(quit));
terminal.on('SIGINT', quit);
process.stdin.on('keypress', reportTyping);

// --- where and who ---

function readArguments() {
  const options = { url: { type: 'string' }, dir: { type: 'string', default: '.local/run' } };
  let parsed;
  try {
    parsed = parseArgs({ options, allowPositionals: true });
  } catch (error) {
    fail(error.message);
  }
  const { positionals, values } = parsed;
  const [user, match = 'demo', ...rest] = positionals;
  if (!user || rest.length) fail('usage: ./dev chat USER [MATCH] [--url URL] [--dir DIR]');
  const url = values.url ?? process.env.GATEWAY_URL ?? gatewayFor(user, values.dir);
  return { user, match, url, dir: values.dir };
}

// Alice on the first gateway, everybody else on the last, so that two people try two gateways.
function gatewayFor(user, dir) {
  const { pid, gateways } = manifest(dir);
  if (!isAlive(pid)) notRunning(dir);
  return gateways.at(user === 'alice' ? 0 : -1).url;
}

function manifest(dir) {
  try {
    return JSON.parse(readFileSync(join(dir, 'stack.json'), 'utf8'));
  } catch {
    return notRunning(dir);
  }
}

function isAlive(pid) {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function notRunning(dir) {
  return fail(`the system does not run on ${dir}: start it with ./dev run in another terminal`);
}

function tokenOf(user) {
  const command = process.env.LOCAL_STACK ?? 'target/release/local-stack';
  try {
    return execFileSync(command, ['token', '--dir', dir, '--', user], { encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch (error) {
    return fail(error.stderr?.trim() || error.message);
  }
}

function fail(reason) {
  console.error(`chat: ${reason}`);
  process.exit(1);
}

// --- what comes in ---

function listen() {
  socket.on('connect', joinChat);
  socket.on('connect_error', ({ message, data }) => {
    if (!socket.active) fail(`${url} refuses: ${data?.code ?? message}`);
    show(`cannot reach ${url} (${message}), trying on`);
  });
  socket.on('disconnect', (reason) => socket.active && show(`connection lost (${reason})`));
  socket.on('receive_message', showMessage);
  socket.on('message_changed', showChange);
  socket.on('receipt_updated', showReceipt);
  socket.on('inbox_updated', ({ matchId, senderId }) => show(`a message of ${senderId} in ${matchId}`));
  socket.on('user_typing', ({ userId, isTyping }) => isTyping && show(`${userId} is typing …`));
  socket.on('milestone_reached', ({ milestone, unlocks }) => show(`${milestone} messages! unlocked: ${unlocks.join()}`));
  socket.on('match_closed', ({ matchId }) => show(`${matchId} was closed`));
  socket.on('server_draining', () => show('this gateway stops, moving to another'));
  socket.on('video_call_incoming', ({ caller, matchId }) => show(`${caller} calls (${matchId}): /accept or /reject`));
  socket.on('video_call_accepted', () => show('call accepted: you are in the call, /end ends it'));
  socket.on('video_call_rejected', ({ reason }) => show(`call rejected (${reason ?? 'declined'})`));
  socket.on('video_call_ended', ({ reason }) => show(`call ended (${reason ?? 'completed'})`));
}

async function joinChat() {
  const answer = await ask('join_chat', { matchId: match, sinceSeq: lastSeq });
  if (!answer.ok && answer.error.retryable) return sleep(answer.error.retryAfterMs ?? RETRY_MS).then(joinChat);
  if (!answer.ok) return fail(`cannot join ${match}: ${describe(answer.error)}`);
  if (lastSeq === 0) {
    const unread = answer.me?.unread ? `, ${answer.me.unread} unread` : '';
    show(`connected to ${url} as ${user}, chat ${match}${unread}. ${HELP}`);
    await showOthers();
  }
  answer.messages.forEach(showMessage);
  if (answer.hasMore) return joinChat();
  answer.others?.filter(({ deliveredSeq }) => deliveredSeq).forEach(showReceipt);
}

/** What is unread in the user's other matches. */
async function showOthers() {
  const { matches = [] } = await ask('sync', { messages: 0 });
  for (const { matchId, unread } of matches) if (unread && matchId !== match) show(`${unread} unread in ${matchId}`);
}

function showMessage({ seq, senderId, message, createdAt, replyTo, editedAt, deleted, reactions = {} }) {
  if (seq <= lastSeq) return;
  lastSeq = seq;
  const marks = [replyTo && `to #${replyTo}`, editedAt && 'edited', ...Object.keys(reactions)].filter(Boolean);
  const text = deleted ? '(deleted)' : textOf(message);
  show(`${createdAt.slice(11, 16)} #${seq} ${senderId}: ${text}${marks.map((mark) => ` [${mark}]`).join('')}`);
  if (senderId !== user) socket.emit('mark_read', { matchId: match, seq });
}

function textOf(message) {
  return typeof message === 'string' ? message : JSON.stringify(message);
}

function showChange({ matchId, seq, kind, message, reactions }) {
  if (matchId !== match) return;
  const names = (emoji) => `${emoji} ${reactions[emoji].join()}`;
  const shown = {
    edited: () => `is now: ${textOf(message)}`,
    deleted: () => 'was deleted',
    hidden: () => 'is hidden from you',
    reactions: () => `has ${Object.keys(reactions).map(names).join(' ') || 'no reactions'}`,
  };
  show(`#${seq} ${shown[kind]()}`);
}

/** Two ticks and one, in words. */
function showReceipt({ matchId = match, userId, readSeq, deliveredSeq }) {
  if (matchId !== match || userId === user) return;
  if (readSeq) show(`${userId} has read up to #${readSeq}`);
  else show(`${userId} has got up to #${deliveredSeq}`);
}

/** Prints above the line that is being typed. */
function show(text) {
  readline.clearLine(process.stdout, 0);
  readline.cursorTo(process.stdout, 0);
  console.log(text);
  terminal.prompt(true);
}

// --- what goes out ---

async function obey(line) {
  const commands = {
    '/call': () => call('video_call_request', { media: 'video' }),
    '/accept': () => call('video_call_accepted', {}),
    '/reject': () => call('video_call_rejected', {}),
    '/end': () => call('video_call_ended', {}),
    '/quit': quit,
    '': () => terminal.prompt(),
  };
  const command = commands[line] ?? ofMessage(line);
  if (command) await command();
  else if (line.startsWith('/')) show(HELP);
  else await send(line);
}

/** What a line like `/edit 7 hello` asks to be done to a message, if it is one. */
function ofMessage(line) {
  const [, command, number, rest] = /^\/(\w+) #?(\d+) ?(.*)$/.exec(line) ?? [];
  const [seq, clientId] = [Number(number), randomUUID()];
  const commands = {
    reply: () => send(rest, seq),
    edit: () => change('edit_message', { seq, message: rest, clientId }),
    react: () => change('react', { seq, emoji: rest, on: true, clientId }),
    delete: () => change('delete_message', { seq, scope: 'everyone' }),
    hide: () => change('delete_message', { seq, scope: 'me' }),
  };
  return commands[command];
}

async function change(event, payload) {
  const answer = await ask(event, { matchId: match, ...payload });
  if (!answer.ok) show(`not done: ${describe(answer.error)}`);
}

async function send(text, replyTo) {
  setTyping(false);
  const answer = await sendReliably({ matchId: match, message: text, clientId: randomUUID(), replyTo });
  if (!answer.ok) return show(`not sent: ${describe(answer.error)}`);
  // What others sent just before comes on its own; only the own message is counted here.
  if (answer.seq === lastSeq + 1) lastSeq = answer.seq;
  show(`sent as #${answer.seq}`);
}

/** An ack with a retryable error means: send again with the same clientId. */
async function sendReliably(message) {
  for (;;) {
    const answer = await ask('send_message', message);
    if (answer.ok || !answer.error.retryable) return answer;
    await sleep(answer.error.retryAfterMs ?? RETRY_MS);
  }
}

async function call(event, payload) {
  const answer = await ask(event, { matchId: match, ...payload });
  if (answer.ok) show(event === 'video_call_request' ? 'ringing …' : 'done');
  else show(`${event}: ${describe(answer.error)}`);
}

async function ask(event, payload) {
  try {
    return await socket.timeout(ACK_TIMEOUT_MS).emitWithAck(event, payload);
  } catch {
    return { ok: false, error: { code: 'UNAVAILABLE', message: 'no answer', retryable: true } };
  }
}

function describe({ code, message, remaining }) {
  return remaining === undefined ? `${message} (${code})` : `${remaining} more messages unlock it (${code})`;
}

function reportTyping(_, key) {
  if (key?.name === 'return' || Date.now() - lastTyping < TYPING_EVERY_MS) return;
  lastTyping = Date.now();
  setTyping(true);
}

function setTyping(isTyping) {
  if (!isTyping) lastTyping = 0;
  socket.volatile.emit('typing', { matchId: match, isTyping });
}

function quit() {
  socket.disconnect();
  process.exit(0);
}

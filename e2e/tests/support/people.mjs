// People with the official client, and the app server with its service token.
import { createHmac, randomUUID } from 'node:crypto';
import { io } from 'socket.io-client';

/** Long enough for two busy cores; a test that waits longer has found a defect. */
export const LIMIT_MS = 15_000;

const open = new Set();

/** Closes every socket that the tests opened. */
export function disconnectAll() {
  for (const socket of open) socket.disconnect();
  open.clear();
}

/** A JWT, signed with HS256. */
export function sign(claims, secret, header = { alg: 'HS256', typ: 'JWT' }) {
  const encode = (part) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const content = `${encode(header)}.${encode(claims)}`;
  return `${content}.${createHmac('sha256', secret).update(content).digest('base64url')}`;
}

export function now() {
  return Math.floor(Date.now() / 1000);
}

export function userToken(stack, user, claims = {}) {
  return sign({ sub: user, iat: now(), exp: now() + 3600, ...claims }, stack.secret);
}

export function serviceToken(stack) {
  return sign({ scope: 'service', iat: now(), exp: now() + 3600 }, stack.secret);
}

/** A socket of the official client that records what it receives. */
export function socketOf(stack, user, { gateway = 0, url = stack.url(gateway), ...options } = {}) {
  const socket = io(url, { auth: { token: userToken(stack, user) }, forceNew: true, ...options });
  socket.user = user;
  socket.received = [];
  socket.onAny((event, ...args) => socket.received.push([event, ...args]));
  open.add(socket);
  return socket;
}

export async function connect(stack, user, options) {
  const socket = socketOf(stack, user, options);
  await connected(socket);
  return socket;
}

export function connected(socket) {
  if (socket.connected) return Promise.resolve();
  return within(new Promise((resolve) => socket.once('connect', resolve)), 'connect');
}

/**
 * Breaks the connection as a dead network would, lets `meanwhile` happen, and comes back through another gateway. `cut`
 * is for one that has something to send, for which the engine would wait.
 */
export async function comeBack(
  stack,
  socket,
  { gateway = 1, meanwhile = async () => {}, cut = (engine) => engine.close() } = {},
) {
  socket.io.reconnection(false);
  const gone = new Promise((resolve) => socket.once('disconnect', resolve));
  cut(socket.io.engine);
  await gone;
  await meanwhile();
  socket.io.uri = stack.url(gateway);
  socket.connect();
  await connected(socket);
}

/** The arguments of the next event of this name that matches. */
export function next(socket, event, matches = () => true, limitMs = LIMIT_MS) {
  const arrived = new Promise((resolve) => {
    const listen = (...args) => {
      if (!matches(...args)) return;
      socket.off(event, listen);
      resolve(args[0]);
    };
    socket.on(event, listen);
  });
  return within(arrived, event, limitMs);
}

/** What the socket has received under this name so far. */
export function seen(socket, event) {
  return socket.received.filter(([name]) => name === event).map(([, arg]) => arg);
}

/** Emits and returns the ack. */
export function ask(socket, event, ...args) {
  return socket.timeout(LIMIT_MS).emitWithAck(event, ...args);
}

/** Emits and expects success. */
export async function done(socket, event, ...args) {
  const ack = await ask(socket, event, ...args);
  if (!ack.ok) throw new Error(`${event}: ${JSON.stringify(ack)}`);
  return ack;
}

/** Emits and expects a failure; returns its error. */
export async function refused(socket, event, ...args) {
  const ack = await ask(socket, event, ...args);
  if (ack.ok !== false) throw new Error(`${event} was not refused: ${JSON.stringify(ack)}`);
  return ack.error;
}

/** A new match of two new users. */
export async function newMatch(stack, members = [`a-${randomUUID()}`, `b-${randomUUID()}`]) {
  const id = `m-${randomUUID()}`;
  const response = await rest(stack, 'PUT', `/matches/${id}`, { token: serviceToken(stack), body: { members } });
  if (!response.ok) throw new Error(`${response.status} ${JSON.stringify(response.json)}`);
  return { id, members, alice: members[0], bob: members[1] };
}

/** A REST call. */
export async function rest(stack, method, path, { token, body, headers = {}, gateway = 0 } = {}) {
  const response = await fetch(`${stack.url(gateway)}/api/v1${path}`, {
    method,
    headers: {
      ...(token && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(LIMIT_MS),
  });
  const text = await response.text();
  return {
    status: response.status,
    ok: response.ok,
    headers: response.headers,
    text,
    json: text ? JSON.parse(text) : undefined,
  };
}

/** The promise, or an error that says what did not happen in time. */
export function within(promise, what, limitMs = LIMIT_MS) {
  let limit;
  const late = new Promise((_, reject) => {
    limit = setTimeout(() => reject(new Error(`no ${what} within ${limitMs} ms`)), limitMs);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(limit));
}

/** Waits until the check holds, looking again after each event of the socket or a moment. */
export async function eventually(check, what, limitMs = LIMIT_MS) {
  const end = Date.now() + limitMs;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > end) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Waits; for rates and repeats, not for what an event tells. */
export function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Two people of a new match, Alice on the first gateway and Bob on the second. */
export async function pair(stack) {
  const match = await newMatch(stack);
  const [alice, bob] = await Promise.all([
    connect(stack, match.alice, { gateway: 0 }),
    connect(stack, match.bob, { gateway: 1 }),
  ]);
  return { match, alice, bob };
}

/** The same with the chat open on both sides. */
export async function joinedPair(stack) {
  const both = await pair(stack);
  await Promise.all([both.alice, both.bob].map((socket) => done(socket, 'join_chat', both.match.id)));
  return both;
}

/** Sends until the outcome is known, under one clientId; returns the ack. This is how a client is to do it. */
export async function sendReliably(socket, matchId, message, clientId = randomUUID(), limitMs = 4 * LIMIT_MS) {
  const end = Date.now() + limitMs;
  for (;;) {
    const ack = await socket
      .timeout(8_000)
      .emitWithAck('send_message', { matchId, message, clientId })
      .catch(() => null);
    if (ack?.ok) return ack;
    if (ack && !ack.error.retryable) throw new Error(JSON.stringify(ack));
    if (Date.now() > end) throw new Error(`a send never succeeded: ${JSON.stringify(ack)}`);
    await pause(ack?.error.retryAfterMs ?? 100);
  }
}

/** All messages of a match as PostgreSQL has them, seen by a member. */
export async function history(stack, match, gateway = 0) {
  const messages = [];
  for (;;) {
    const path = `/matches/${match.id}/messages?after=${messages.length}&limit=200`;
    const page = await rest(stack, 'GET', path, { token: userToken(stack, match.alice), gateway });
    if (page.status === 429) await pause(page.json.retryAfterMs);
    else if (!page.ok) throw new Error(page.text);
    if (!page.ok) continue;
    messages.push(...page.json.messages);
    if (!page.json.hasMore) return messages;
  }
}

/** The whole numbers from 1 to n. */
export function upTo(n) {
  return Array.from({ length: n }, (_, i) => i + 1);
}

/** Whether they grow from one to the next. */
export function ascending(numbers) {
  return numbers.every((number, i) => i === 0 || numbers[i - 1] < number);
}

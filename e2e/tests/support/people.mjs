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
export function socketOf(stack, user, { gateway = 0, ...options } = {}) {
  const socket = io(stack.url(gateway), { auth: { token: userToken(stack, user) }, forceNew: true, ...options });
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

/** The arguments of the next event of this name that matches. */
export function next(socket, event, matches = () => true) {
  const arrived = new Promise((resolve) => {
    const listen = (...args) => {
      if (!matches(...args)) return;
      socket.off(event, listen);
      resolve(args[0]);
    };
    socket.on(event, listen);
  });
  return within(arrived, event);
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
  return { status: response.status, ok: response.ok, headers: response.headers, text, json: text ? JSON.parse(text) : undefined };
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

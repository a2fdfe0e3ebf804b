// The REST API: every endpoint, who may call it, its pages and its refusals.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { useStack } from './support/stack.mjs';
import {
  connect,
  connected,
  done,
  joinedPair,
  newMatch,
  next,
  now,
  rest,
  seen,
  serviceToken,
  sign,
  socketOf,
  upTo,
  userToken,
  within,
} from './support/people.mjs';

describe('REST', () => {
  const stack = useStack({ env: { LIMIT_HISTORY: '1000/1000', LIMIT_SENDS: '1000/1000' } });

  const as = (user) => ({ token: userToken(stack, user) });
  const service = () => ({ token: serviceToken(stack) });
  const get = (path, options) => rest(stack, 'GET', path, options);

  function assertProblem(answer, status, code) {
    assert.equal(answer.status, status, answer.text);
    assert.match(answer.headers.get('content-type'), /^application\/problem\+json/);
    assert.equal(answer.json.code, code);
    assert.equal(answer.json.status, status);
    for (const field of ['type', 'title']) assert.equal(typeof answer.json[field], 'string');
  }

  test('the app server creates a match once, and both members see it', async () => {
    const id = `m-${randomUUID()}`;
    const body = { members: [`b-${id}`, `a-${id}`] };
    const created = await rest(stack, 'PUT', `/matches/${id}`, { ...service(), body });
    assert.equal(created.status, 201);
    assert.equal(created.json.matchId, id);
    assert.deepEqual([...created.json.members].sort(), [...body.members].sort());
    const again = await rest(stack, 'PUT', `/matches/${id}`, {
      ...service(),
      body: { members: [...body.members].reverse() },
      gateway: 1,
    });
    assert.equal(again.status, 200, 'the order of the members does not matter');
    assert.deepEqual(again.json, created.json);
    for (const member of body.members) {
      assert.deepEqual((await get(`/matches/${id}`, as(member))).json, created.json);
      assert.deepEqual((await get('/matches', as(member))).json, { matches: [created.json], hasMore: false });
    }
    assert.equal(created.json.lastSeq, 0);
    assert.equal(created.json.closed, false);
  });

  test('other members under the same id, and a closed match, are a conflict', async () => {
    const match = await newMatch(stack);
    const put = (members) => rest(stack, 'PUT', `/matches/${match.id}`, { ...service(), body: { members } });
    assertProblem(await put([match.alice, 'somebody-else']), 409, 'IDEMPOTENCY_CONFLICT');
    await rest(stack, 'DELETE', `/matches/${match.id}`, service());
    assertProblem(await put(match.members), 409, 'IDEMPOTENCY_CONFLICT');
  });

  test('a match is closed once, and repeating that is no error', async () => {
    const match = await newMatch(stack);
    for (const gateway of [0, 1]) {
      const closed = await rest(stack, 'DELETE', `/matches/${match.id}`, { ...service(), gateway });
      assert.deepEqual([closed.status, closed.text], [204, '']);
    }
    const seenClosed = await get(`/matches/${match.id}`, as(match.bob));
    assert.equal(seenClosed.json.closed, true);
    const post = await rest(stack, 'POST', `/matches/${match.id}/messages`, {
      ...as(match.bob),
      body: { message: 'x' },
    });
    assertProblem(post, 410, 'MATCH_CLOSED');
    assertProblem(await rest(stack, 'DELETE', `/matches/m-${randomUUID()}`, service()), 404, 'MATCH_NOT_FOUND');
  });

  test("a user's matches come in pages", async () => {
    const user = `u-${randomUUID()}`;
    const ids = [];
    for (let i = 0; i < 5; i += 1) ids.push((await newMatch(stack, [user, `other-${i}`])).id);
    ids.sort();
    const first = await get('/matches?limit=3', as(user));
    assert.deepEqual(
      first.json.matches.map(({ matchId }) => matchId),
      ids.slice(0, 3),
    );
    assert.equal(first.json.hasMore, true);
    const second = await get(`/matches?limit=3&after=${ids[2]}`, as(user));
    assert.deepEqual(
      second.json.matches.map(({ matchId }) => matchId),
      ids.slice(3),
    );
    assert.equal(second.json.hasMore, false);
    assert.deepEqual((await get('/matches', as('nobody-yet'))).json, { matches: [], hasMore: false });
  });

  test('a message is saved once and broadcast like any other', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const path = `/matches/${match.id}/messages`;
    const body = { message: { text: 'hi' }, clientId: randomUUID() };
    const received = next(bob, 'receive_message');
    const saved = await rest(stack, 'POST', path, { ...as(match.alice), body, headers: { 'x-socket-id': alice.id } });
    assert.equal(saved.status, 201);
    const event = await received;
    assert.deepEqual(saved.json, event, 'the object of the event');
    const again = await rest(stack, 'POST', path, { ...as(match.alice), body, gateway: 1 });
    assert.equal(again.status, 200);
    assert.deepEqual(again.json, saved.json);
    const bySocket = await done(alice, 'send_message', { matchId: match.id, ...body });
    assert.deepEqual([bySocket.seq, bySocket.duplicate], [1, true]);
    assertProblem(
      await rest(stack, 'POST', path, { ...as(match.alice), body: { ...body, message: 'other' } }),
      409,
      'IDEMPOTENCY_CONFLICT',
    );
  });

  test('history is paged both ways, always ascending', async () => {
    const match = await newMatch(stack);
    const alice = await connect(stack, match.alice);
    await Promise.all(upTo(60).map((i) => done(alice, 'send_message', { matchId: match.id, message: `m${i}` })));
    const page = async (query) => {
      const answer = await get(`/matches/${match.id}/messages${query}`, as(match.bob));
      assert.equal(answer.status, 200, answer.text);
      return { seqs: answer.json.messages.map(({ seq }) => seq), hasMore: answer.json.hasMore };
    };
    const range = (from, to) => upTo(to).slice(from - 1);
    assert.deepEqual(await page(''), { seqs: range(11, 60), hasMore: true }, '50 unless said otherwise');
    assert.deepEqual(await page('?limit=200'), { seqs: range(1, 60), hasMore: false });
    assert.deepEqual(await page('?limit=10'), { seqs: range(51, 60), hasMore: true });
    assert.deepEqual(await page('?before=51&limit=10'), { seqs: range(41, 50), hasMore: true });
    assert.deepEqual(await page('?before=11&limit=10'), { seqs: range(1, 10), hasMore: false });
    assert.deepEqual(await page('?before=1'), { seqs: [], hasMore: false });
    assert.deepEqual(await page('?before=1000&limit=2'), { seqs: [59, 60], hasMore: true });
    assert.deepEqual(await page('?after=0&limit=10'), { seqs: range(1, 10), hasMore: true });
    assert.deepEqual(await page('?after=50&limit=10'), { seqs: range(51, 60), hasMore: false });
    assert.deepEqual(await page('?after=60'), { seqs: [], hasMore: false });
    for (const query of [
      '?limit=0',
      '?limit=201',
      '?limit=x',
      '?before=1&after=1',
      '?after=-1',
      '?before=1.5',
      '?limit=1&limit=2',
    ]) {
      assertProblem(await get(`/matches/${match.id}/messages${query}`, as(match.bob)), 400, 'INVALID_PAYLOAD');
    }
  });

  test('progress toward milestones is shown', async () => {
    const match = await newMatch(stack);
    const alice = await connect(stack, match.alice);
    for (let i = 0; i < 3; i += 1) await done(alice, 'send_message', { matchId: match.id, message: 'x' });
    const { json } = await get(`/matches/${match.id}/milestones`, as(match.bob));
    assert.deepEqual(json, {
      messageCount: 3,
      milestones: [],
      unlocked: [],
      next: { milestoneId: 'messages-100', milestone: 100, remaining: 97 },
    });
  });

  test('an absent match and one of others are alike to the byte', async () => {
    const match = await newMatch(stack);
    const calls = [
      ['GET', (id) => `/matches/${id}`],
      ['GET', (id) => `/matches/${id}/messages`],
      ['GET', (id) => `/matches/${id}/milestones`],
      ['POST', (id) => `/matches/${id}/messages`, { message: 'x' }],
    ];
    for (const [method, path, body] of calls) {
      const foreign = await rest(stack, method, path(match.id), { ...as('stranger'), body });
      const absent = await rest(stack, method, path(`m-${randomUUID()}`), { ...as('stranger'), body });
      assertProblem(foreign, 404, 'MATCH_NOT_FOUND');
      assert.equal(foreign.text, absent.text);
      const comparable = ({ headers }) => [...headers].filter(([name]) => name !== 'date');
      assert.deepEqual(comparable(foreign), comparable(absent));
    }
    await rest(stack, 'DELETE', `/matches/${match.id}`, service());
    assertProblem(await get(`/matches/${match.id}`, as('stranger')), 404, 'MATCH_NOT_FOUND');
  });

  test('users and the app server may each do their own', async () => {
    const match = await newMatch(stack);
    const path = `/matches/${match.id}`;
    const forUsers = [
      ['GET', '/matches'],
      ['GET', path],
      ['GET', `${path}/messages`],
      ['GET', `${path}/milestones`],
      ['POST', `${path}/messages`, { message: 'x' }],
    ];
    for (const [method, url, body] of forUsers) {
      assertProblem(await rest(stack, method, url, { ...service(), body }), 403, 'FORBIDDEN');
    }
    const forTheServer = [
      ['PUT', path, { members: match.members }],
      ['DELETE', path],
      ['POST', `/users/${match.alice}/revoke`],
    ];
    for (const [method, url, body] of forTheServer) {
      assertProblem(await rest(stack, method, url, { ...as(match.alice), body }), 403, 'FORBIDDEN');
    }
    assert.equal((await get(path, as(match.alice))).json.closed, false, 'nothing was done');
  });

  test('no token, a bad, an expired and a foreign one are refused', async () => {
    const claims = { sub: 'alice', iat: now() - 100, exp: now() + 100 };
    const unsigned = `${sign(claims, '', { alg: 'none' }).split('.').slice(0, 2).join('.')}.`;
    for (const token of [undefined, 'nonsense', 'a.b.c', sign(claims, 'a foreign secret'), unsigned]) {
      assertProblem(await get('/matches', { token }), 401, 'UNAUTHENTICATED');
    }
    assertProblem(
      await get('/matches', { token: sign({ ...claims, exp: now() - 60 }, stack.secret) }),
      401,
      'TOKEN_EXPIRED',
    );
    const scheme = await get('/matches', { headers: { authorization: `Basic ${userToken(stack, 'alice')}` } });
    assertProblem(scheme, 401, 'UNAUTHENTICATED');
    assert.ok(scheme.headers.get('www-authenticate'));
  });

  test('malformed requests are refused with their code and nothing is stored', async () => {
    const match = await newMatch(stack);
    const path = `/matches/${match.id}/messages`;
    const post = (body, options) => rest(stack, 'POST', path, { ...as(match.alice), body, ...options });
    for (const body of [
      {},
      [],
      'x',
      null,
      { message: 1 },
      { message: null },
      { message: [] },
      { message: 'x', clientId: '' },
      { message: 'x', clientId: 7 },
    ]) {
      assertProblem(await post(body), 400, 'INVALID_PAYLOAD');
    }
    assertProblem(await post({ message: 'ä'.repeat(4_001) }), 413, 'PAYLOAD_TOO_LARGE');
    assertProblem(await post({ message: { text: 'x'.repeat(17_000) } }), 413, 'PAYLOAD_TOO_LARGE');
    assertProblem(await post({ message: { text: 'x'.repeat(70_000) } }), 413, 'PAYLOAD_TOO_LARGE');
    assertProblem(await post({ message: 'x' }, { headers: { 'content-type': 'text/plain' } }), 400, 'INVALID_PAYLOAD');
    for (const id of ['a.b', '*', 'a%20b', 'x'.repeat(65), '%C3%A9']) {
      assertProblem(await get(`/matches/${id}`, as(match.alice)), 400, 'INVALID_PAYLOAD');
    }
    for (const members of [[], ['a'], ['a', 'a'], ['a', 'b', 'c'], ['a.b', 'c'], 'ab']) {
      assertProblem(
        await rest(stack, 'PUT', `/matches/m-${randomUUID()}`, { ...service(), body: { members } }),
        400,
        'INVALID_PAYLOAD',
      );
    }
    assert.equal((await get(`/matches/${match.id}`, as(match.alice))).json.lastSeq, 0);
    assert.equal((await get('/nothing-here', as(match.alice))).status, 404);
    assert.equal((await rest(stack, 'PATCH', `/matches/${match.id}`, as(match.alice))).status, 405);
  });

  test('revoking cuts the sockets on every gateway and refuses tokens issued before', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const user = match.alice;
    const tablet = await connect(stack, user, { gateway: 1 });
    const old = userToken(stack, user);
    const cut = [alice, tablet].map((socket) => new Promise((resolve) => socket.once('disconnect', resolve)));
    const rejected = [alice, tablet].map((socket) => new Promise((resolve) => socket.once('connect_error', resolve)));
    const began = Date.now();
    const revoked = await rest(stack, 'POST', `/users/${user}/revoke`, service());
    assert.equal(revoked.status, 200, revoked.text);
    await Promise.all(cut);
    assert.ok(Date.now() - began < 2_000, `cut after ${Date.now() - began} ms`);
    // The client comes back by itself with its old token, and is told.
    for (const error of await Promise.all(rejected)) assert.equal(error.data.code, 'UNAUTHENTICATED');
    for (const gateway of [0, 1]) {
      assertProblem(await get('/matches', { token: old, gateway }), 401, 'UNAUTHENTICATED');
      const fresh = sign({ sub: user, iat: now() + 2, exp: now() + 600 }, stack.secret);
      assert.equal((await get('/matches', { token: fresh, gateway })).status, 200);
      await connected(socketOf(stack, user, { gateway, auth: { token: fresh } }));
    }
    assert.equal(bob.connected, true, 'nobody else is cut');
  });

  test('the API describes itself', async () => {
    const document = await (await fetch(`${stack.url(0)}/openapi.json`)).json();
    assert.match(document.openapi, /^3\./);
    const routes = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.keys(item)
        .filter((key) => ['get', 'put', 'post', 'patch', 'delete'].includes(key))
        .map((method) => `${method} ${path}`),
    );
    const expected = [
      'get /matches',
      'get /matches/{id}',
      'put /matches/{id}',
      'delete /matches/{id}',
      'patch /matches/{id}/members',
      'delete /matches/{id}/members/me',
      'get /matches/{id}/messages',
      'post /matches/{id}/messages',
      'patch /matches/{id}/messages/{id}',
      'delete /matches/{id}/messages/{id}',
      'put /matches/{id}/messages/{id}/reactions/{id}',
      'delete /matches/{id}/messages/{id}/reactions/{id}',
      'get /matches/{id}/changes',
      'get /matches/{id}/receipts',
      'put /matches/{id}/receipts',
      'get /matches/{id}/milestones',
      'post /matches/{id}/report',
      'get /reports',
      'get /reports/{id}',
      'post /reports/{id}/resolve',
      'get /users/me/blocks',
      'put /users/me/blocks/{id}',
      'delete /users/me/blocks/{id}',
      'get /users/me/settings',
      'put /users/me/settings',
      'get /users/{id}/blocks',
      'put /users/{id}/blocks/{id}',
      'delete /users/{id}/blocks/{id}',
      'get /users/{id}/settings',
      'put /users/{id}/settings',
      'delete /users/{id}',
      'get /users/{id}/erasure',
      'post /users/{id}/revoke',
      'post /sync',
    ];
    const base = (path) => path.replace('/api/v1', '').replaceAll(/\{\w+\}/g, '{id}');
    assert.deepEqual(routes.map(base).sort(), expected.sort());
  });

  test('every gateway and service tells how it is', async () => {
    for (const name of stack.services) {
      const { health } = stack.member(name);
      for (const path of ['/healthz', '/readyz', '/metrics']) {
        const answer = await fetch(health + path);
        assert.equal(answer.status, 200, `${name} ${path}`);
        const text = await answer.text();
        if (path === '/metrics' && name.startsWith('gateway')) assert.match(text, /^# TYPE gateway_/m, name);
      }
    }
  });

  test('a page on another localhost port may use REST and polling, one from elsewhere may not', async () => {
    const match = await newMatch(stack);
    const allowed = 'http://localhost:3000';
    const preflight = (path, origin, headers) =>
      fetch(stack.url(0) + path, {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': headers },
      });
    for (const path of [`/api/v1/matches/${match.id}/messages`, '/socket.io/?EIO=4&transport=polling']) {
      const yes = await preflight(path, allowed, 'authorization,content-type,x-socket-id');
      assert.ok(yes.ok, path);
      assert.equal(yes.headers.get('access-control-allow-origin'), allowed, path);
      assert.match(yes.headers.get('access-control-allow-methods') ?? '', /POST/, path);
      const allowedHeaders = (yes.headers.get('access-control-allow-headers') ?? '').toLowerCase();
      for (const header of ['authorization', 'content-type', 'x-socket-id'])
        assert.ok(allowedHeaders.includes(header), `${path} ${header}`);
      const no = await preflight(path, 'http://evil.example', 'authorization');
      assert.equal(no.headers.get('access-control-allow-origin'), null, path);
    }
    const answer = await get('/matches', { ...as(match.alice), headers: { origin: allowed } });
    assert.equal(answer.headers.get('access-control-allow-origin'), allowed);
    const refusal = await get('/matches', { headers: { origin: allowed } });
    assert.equal(refusal.headers.get('access-control-allow-origin'), allowed, 'a page can read why it was refused');
    const polling = await fetch(`${stack.url(0)}/socket.io/?EIO=4&transport=polling`, { headers: { origin: allowed } });
    assert.equal(polling.headers.get('access-control-allow-origin'), allowed);
    assert.match(await polling.text(), /^0\{"sid"/);
  });

  test('a token that is renewed keeps the connection, an expired one ends it', async () => {
    const match = await newMatch(stack);
    const soon = () => sign({ sub: match.alice, iat: now(), exp: now() + 4 }, stack.secret);
    const renewed = socketOf(stack, match.alice, { auth: { token: soon() } });
    const lapsing = socketOf(stack, match.alice, { auth: { token: soon() }, gateway: 1 });
    await Promise.all([connected(renewed), connected(lapsing)]);
    const ended = new Promise((resolve) => lapsing.once('disconnect', resolve));
    const ack = await done(renewed, 'refresh_token', { token: userToken(stack, match.alice) });
    assert.ok(Date.parse(ack.expiresAt) > Date.now() + 60_000);
    assert.equal(
      (await renewed.emitWithAck('refresh_token', { token: userToken(stack, match.bob) })).error.code,
      'UNAUTHENTICATED',
    );
    await ended;
    assert.equal(renewed.connected, true);
    assert.equal(seen(lapsing, 'token_expiring').length, 1, 'it was told before');
  });

  test('an expired token that is let in for the leeway keeps its connection until that is over, and is refused then', async () => {
    const token = sign({ sub: `u-${randomUUID()}`, iat: now() - 100, exp: now() - 1 }, stack.secret);
    const socket = socketOf(stack, 'unused', { auth: { token }, reconnectionDelay: 50, reconnectionDelayMax: 100 });
    let connects = 0;
    socket.on('connect', () => (connects += 1));
    const refusal = await within(new Promise((resolve) => socket.once('connect_error', resolve)), 'refusal');
    assert.equal(refusal.data.code, 'TOKEN_EXPIRED');
    assert.equal(connects, 1);
  });
});

// What the system says of itself: one message is one trace, and neither logs nor traces tell what people write.
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { useStack } from './support/stack.mjs';
import { ask, connect, done, eventually, joinedPair, newMatch, next, rest, serviceToken, userToken } from './support/people.mjs';
import { receiveTraces } from './support/otlp.mjs';

describe('telemetry', () => {
  let traces;
  const args = [];
  before(async () => {
    traces = await receiveTraces();
    args.push('--otlp-endpoint', traces.endpoint);
  });
  const stack = useStack({
    milestones: [{ id: 'first', messages: 1, unlocks: ['video_call'] }],
    args,
    // Batches of spans are exported at once instead of every 5 s.
    env: { LOG_FORMAT: 'json', RUST_LOG: 'trace', OTEL_BSP_SCHEDULE_DELAY: '200' },
  });
  after(() => traces.close());

  test('one message is one trace, from the event to the delivery on the other gateway', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const received = next(bob, 'receive_message');
    const announced = next(bob, 'milestone_reached');
    await done(alice, 'send_message', { matchId: match.id, message: 'traced' });
    await Promise.all([received, announced]);

    const root = await eventually(
      () => traces.spans.find(({ name, attributes }) => name === 'send_message' && attributes.match_id === match.id),
      'the span of the event',
    );
    assert.equal(root.service, 'gateway');
    assert.match(root.parentId, /^0*$/, 'it begins the trace');
    const trace = () => traces.spans.filter(({ traceId }) => traceId === root.traceId);
    const of = (service) => trace().filter((span) => span.service === service);
    await eventually(
      () =>
        of('chat-service').some(({ name }) => /commit/i.test(name)) &&
        of('milestone-service').length > 0 &&
        of('gateway').some(({ process }) => process !== root.process),
      'the spans of all services',
    ).catch((error) => {
      throw new Error(
        `${error.message}: ${JSON.stringify(trace().map(({ service, process, name }) => [service, process, name]))}`,
      );
    });
    // A span is exported when it ends, and so after those within it.
    const loose = () => {
      const known = new Set(trace().map(({ spanId }) => spanId));
      return trace().filter(({ spanId, parentId }) => spanId !== root.spanId && !known.has(parentId));
    };
    await eventually(() => loose().length === 0, 'each span hangs in the trace');
  });

  test('a trace that a caller names is not believed', async () => {
    const match = await newMatch(stack);
    const traceId = randomBytes(16).toString('hex');
    const headers = {
      traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-01`,
      tracestate: 'theirs=1',
      baggage: 'userId=mallory',
      authorization: `Bearer ${userToken(stack, match.alice)}`,
    };
    const before = traces.spans.length;
    const answer = await fetch(`${stack.url(0)}/api/v1/matches/${match.id}`, { headers });
    assert.equal(answer.status, 200);
    const root = await eventually(
      () => traces.spans.slice(before).find(({ name }) => name === 'GET /api/v1/matches/{id}'),
      'the span of the request',
    );
    assert.match(root.parentId, /^0*$/, 'it begins a trace');
    assert.ok(traces.spans.every((span) => span.traceId !== traceId));
  });

  test('logs are JSON, carry ids, and hold no message and no token; nor do traces', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const secrets = {
      body: `secret-${randomUUID()}`,
      object: `secret-${randomUUID()}`,
      rest: `secret-${randomUUID()}`,
      bad: `secret-${randomUUID()}`,
    };
    const token = userToken(stack, match.alice);
    const received = next(bob, 'receive_message', ({ message }) => message === secrets.rest);
    await done(alice, 'send_message', { matchId: match.id, message: secrets.body });
    await done(alice, 'send_message', { matchId: match.id, message: { text: secrets.object } });
    await ask(alice, 'send_message', { matchId: match.id, message: [secrets.bad] });
    await ask(alice, 'send_message', { matchId: match.id, message: 'x', clientId: [secrets.bad] });
    await ask(alice, 'refresh_token', { token });
    await done(alice, 'video_call_request', { matchId: match.id, media: { secret: secrets.body } });
    await rest(stack, 'POST', `/matches/${match.id}/messages`, { token, body: { message: secrets.rest } });
    await rest(stack, 'POST', `/matches/${match.id}/messages`, { token: `${token}x`, body: { message: secrets.bad } });
    await rest(stack, 'POST', `/users/${match.alice}/revoke`, { token: serviceToken(stack) });
    await received;
    await eventually(() => !alice.connected, 'the revocation');
    await connect(stack, match.bob, { gateway: 0 });

    const signature = (jwt) => jwt.split('.')[2];
    // Tokens of one second are alike: the sockets' own too.
    const forbidden = [
      ...Object.values(secrets),
      signature(token),
      signature(alice.auth.token),
      signature(serviceToken(stack)),
      stack.secret,
    ];
    const all = stack.services.map((name) => [name, stack.log(name)]);
    for (const [name, log] of [...all, ['traces', JSON.stringify(traces.spans)]]) {
      for (const secret of forbidden)
        assert.ok(
          !log.includes(secret),
          `${name} tells a secret: ${log.split('\n').find((line) => line.includes(secret)) ?? log}`,
        );
    }
    for (const [name, log] of all) {
      const lines = log.trim().split('\n');
      assert.ok(lines.length > 1, name);
      for (const line of lines) {
        const entry = JSON.parse(line);
        assert.doesNotMatch(line, /"(\w+)":"[^"]*","\1":/, `${name} says it twice`);
        for (const field of ['timestamp', 'level', 'target'])
          assert.equal(typeof entry[field], 'string', `${name}: ${line}`);
      }
    }
    assert.ok(
      all.some(([, log]) => log.includes(match.id)),
      'logs carry ids',
    );
  });

  test('metrics count connections, sends, deliveries and batches', async () => {
    const { match, alice, bob } = await joinedPair(stack);
    const received = next(bob, 'receive_message');
    await done(alice, 'send_message', { matchId: match.id, message: 'counted' });
    await received;
    const metrics = async (name) => (await fetch(`${stack.member(name).health}/metrics`)).text();
    const total = (text, name) =>
      text
        .split('\n')
        .filter((line) => line.startsWith(name))
        .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
    const [first, second] = await Promise.all(['gateway-0', 'gateway-1'].map(metrics));
    assert.ok(total(first, 'gateway_connections') >= 1);
    assert.ok(total(first, 'gateway_send_duration_seconds_count') >= 1);
    assert.ok(total(second, 'gateway_deliveries') >= 1);
    assert.ok(total(second, 'gateway_delivery_delay_seconds_count') >= 1);
    const stored = (await Promise.all(['chat-service-0', 'chat-service-1'].map(metrics))).map((text) =>
      total(text, 'chat_commit_rows_sum'),
    );
    assert.ok(stored[0] + stored[1] >= 1);
  });

  test('durations have buckets that fit them', async () => {
    for (const name of stack.services) {
      const text = await (await fetch(`${stack.member(name).health}/metrics`)).text();
      const bounds = {};
      for (const [, metric, bound] of text.matchAll(/^(\w+_seconds)_bucket\{.*?le="([^"]+)"/gm))
        (bounds[metric] ??= []).push(Number(bound.replace('+Inf', 'Infinity')));
      for (const [metric, all] of Object.entries(bounds)) {
        const finite = all.filter(Number.isFinite);
        assert.ok(Math.min(...finite) <= 0.001, `${name}: ${metric} begins at ${Math.min(...finite)} s`);
        assert.ok(Math.max(...finite) <= 60, `${name}: ${metric} reaches to ${Math.max(...finite)} s`);
      }
    }
  });
});

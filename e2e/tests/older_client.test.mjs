// A socket.io-client 2.x, which cannot speak with this server, says why in one line and gives up.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import io from 'socket.io-client-2';
import { within } from './support/people.mjs';
import { useStack } from './support/stack.mjs';

describe('a socket.io-client 2.x', () => {
  const stack = useStack({ gateways: 1, replicas: 1 });

  for (const transports of [undefined, ['polling']]) {
    test(`with ${transports ?? 'its own choice of transports'} shows one clear line and does not come back`, async () => {
      const socket = io(stack.url(0), { forceNew: true, reconnectionDelay: 10, ...(transports && { transports }) });
      const shown = [];
      for (const event of ['error', 'connect', 'connect_error', 'reconnect_attempt', 'reconnect_error'])
        socket.on(event, (value) => shown.push([event, String(value)]));
      const reason = await within(new Promise((resolve) => socket.once('disconnect', resolve)), 'the end');
      assert.equal(reason, 'io server disconnect');
      assert.deepEqual(shown, [['error', 'this server speaks Socket.IO 4: use socket.io-client 4.x']]);
      socket.close();
    });
  }

  test('opens no session', async () => {
    const query = 'EIO=3&transport=polling&t=Q8cYaAg';
    const answer = await fetch(`${stack.url(0)}/socket.io/?${query}`);
    assert.equal(answer.status, 200);
    const { sid } = JSON.parse(/\{.*?\}/.exec(await answer.text())[0]);
    for (const version of [3, 4]) {
      const poll = await fetch(`${stack.url(0)}/socket.io/?EIO=${version}&transport=polling&t=x&sid=${sid}`);
      assert.equal(poll.status, 400);
      assert.equal((await poll.json()).message, 'Session ID unknown');
    }
  });

  test('is told from other programs, which get the error of the protocol', async () => {
    const answer = await fetch(`${stack.url(0)}/socket.io/?EIO=3&transport=polling`);
    assert.equal(answer.status, 400);
    assert.deepEqual(await answer.json(), { code: 5, message: 'Unsupported protocol version' });
  });
});

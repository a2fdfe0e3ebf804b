// The chat of the terminal (`./dev chat`), as two people use it on two gateways.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { connect, done, eventually, newMatch } from './support/people.mjs';
import { useStack } from './support/stack.mjs';

const CHAT = fileURLToPath(new URL('../chat.mjs', import.meta.url));

describe('the chat of the terminal', () => {
  const stack = useStack({ gateways: 2, replicas: 1 });

  /** Somebody at a terminal, and what is written there. */
  function terminal(t, user, match, gateway) {
    const chat = spawn(process.execPath, [CHAT, user, match.id, '--dir', stack.dir, '--url', stack.url(gateway)]);
    t.after(() => chat.kill());
    let written = '';
    chat.stdout.on('data', (text) => (written += text));
    chat.stderr.on('data', (text) => (written += text));
    return {
      type: (line) => chat.stdin.write(`${line}\n`),
      reads: (text) => eventually(() => written.includes(text), `"${text}" in ${user}'s terminal:\n${written}`),
      closed: new Promise((resolve) => chat.on('close', resolve)),
    };
  }

  test('shows messages, what becomes of them, and who has read them', async (t) => {
    const match = await newMatch(stack);
    const other = await newMatch(stack, [match.bob, 'carol']);
    await done(await connect(stack, 'carol'), 'send_message', { matchId: other.id, message: 'psst' });
    const alice = terminal(t, match.alice, match, 0);
    await alice.reads('connected to');
    alice.type('hello');
    await alice.reads('sent as #1');
    const bob = terminal(t, match.bob, match, 1);
    await bob.reads(', 1 unread');
    await bob.reads(`1 unread in ${other.id}`);
    await bob.reads(`#1 ${match.alice}: hello`);
    await alice.reads(`${match.bob} has read up to #1`);
    bob.type('/reply 1 hello yourself');
    await alice.reads(`#2 ${match.bob}: hello yourself [to #1]`);
    alice.type('/react 2 👍');
    await bob.reads(`#2 has 👍 ${match.alice}`);
    bob.type('/edit 2 hi');
    await alice.reads('#2 is now: hi');
    bob.type('/delete #2');
    await alice.reads('#2 was deleted');
    alice.type('/hide 1');
    await alice.reads('#1 is hidden from you');
    alice.type('/edit 2 mine');
    await alice.reads('not done: ');
    alice.type('/what');
    await alice.reads('Lines are sent.');
    bob.type('/quit');
    assert.equal(await bob.closed, 0);
  });
});

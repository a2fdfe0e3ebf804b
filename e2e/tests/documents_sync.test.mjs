// What docs/clients.md keeps of an absence, with the code as it stands there: by syncs alone it has what is there.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { app, YOURS } from './support/app.mjs';
import { changeMembers } from './support/grpc.mjs';
import { connect, done, eventually, history, newMatch, upTo, userToken } from './support/people.mjs';
import { Profile, Samples } from './support/samples.mjs';
import { useStack } from './support/stack.mjs';

const stack = useStack({ gateways: 2, replicas: 1, env: { LIMIT_SENDS: '1000/1000', LIMIT_SENDS_MATCH: '1000/1000' } });
const samples = new Samples({
  document: 'docs/clients.md',
  folder: stack.dir,
  yours: YOURS,
  replaced: { "'https://realtime.example.com'": 'yours.gateway' },
});
const profile = new Profile();

before(() => profile.start());

describe('docs/clients.md after an absence', () => {
  const apps = [];
  after(() => apps.forEach(({ signOut }) => signOut()));

  async function person(user) {
    const yours = { ...app(stack.url(0), async () => userToken(stack, user)), me: user };
    const person = await samples.start(yours);
    apps.push(person);
    return person;
  }

  const fresh = () => ({ token: undefined, matches: new Map() });

  /** Says so many things, a few at once. */
  async function say(socket, match, count) {
    for (let n = 0; n < count; n += 5) {
      const some = upTo(Math.min(5, count - n));
      await Promise.all(some.map((i) => done(socket, 'send_message', { matchId: match.id, message: `${n + i}` })));
    }
  }

  /** What is kept of a match is what a member sees. */
  async function assertKept(kept, match, hidden = []) {
    const shown = [...kept.matches.get(match.id).messages.values()].toSorted((a, b) => a.seq - b.seq);
    const essence = ({ seq, message, deleted = false, reactions }) => [seq, message, deleted, reactions ?? {}];
    const there = (await history(stack, match)).filter(({ seq }) => !hidden.includes(seq));
    assert.deepEqual(shown.map(essence), there.map(essence));
  }

  test('has every message and what has become of it, however much it was', async () => {
    const match = await newMatch(stack);
    const bob = await connect(stack, match.bob, { gateway: 1 });
    const alice = await person(match.alice);
    await say(bob, match, 3);
    const kept = await alice.sync(fresh());
    await assertKept(kept, match);

    await done(bob, 'edit_message', { matchId: match.id, seq: 1, message: 'edited' });
    await done(bob, 'delete_message', { matchId: match.id, seq: 2, scope: 'everyone' });
    await done(bob, 'react', { matchId: match.id, seq: 3, emoji: '👍', on: true });
    await say(bob, match, 70);
    await alice.sync(kept);
    await assertKept(kept, match);
    assert.equal(kept.matches.get(match.id).isCut, false);

    await alice.hide(match.id, 1);
    await alice.sync(kept);
    assert.ok(!kept.matches.get(match.id).messages.has(1));
    assert.equal(kept.matches.get(match.id).unread, 73);
  });

  test('loses what was left, and begins anew as another user', async () => {
    const match = await newMatch(stack);
    const other = await newMatch(stack, [match.alice, 'carol']);
    const alice = await person(match.alice);
    const kept = await alice.sync(fresh());
    assert.deepEqual([...kept.matches.keys()].toSorted(), [match.id, other.id].toSorted());
    await changeMembers(stack, match, { add: ['carol'], remove: [match.alice] });
    await eventually(async () => !(await alice.sync(kept)).matches.has(match.id), 'the match is gone');
    const bob = await person(match.bob);
    await bob.sync(kept);
    assert.deepEqual([...kept.matches.keys()], [match.id], 'of Alice nothing is left');
  });
});

test('every function of the sample was used', async () => {
  samples.record(await profile.stop());
  assert.ok(samples.size > 0);
  assert.deepEqual(samples.unused((section) => section === 'After an absence'), []);
});

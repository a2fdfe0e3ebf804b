// The calls of docs/clients.md between two pages of a browser, with the code as it stands there.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { YOURS } from './support/app.mjs';
import { useBrowser } from './support/browser.mjs';
import { LIMIT_MS, newMatch, pause, rest, userToken } from './support/people.mjs';
import { Samples } from './support/samples.mjs';
import { useStack } from './support/stack.mjs';

const stack = useStack({ replicas: 1, milestones: [{ id: 'first', messages: 1, unlocks: ['video_call'] }] });
const samples = new Samples({
  document: 'docs/clients.md',
  folder: stack.dir,
  yours: YOURS,
  replaced: { "'https://realtime.example.com'": 'yours.gateway' },
});
const browser = useBrowser(stack, samples);

describe('docs/clients.md in a browser', { concurrency: 2, timeout: 60_000 }, () => {
  /** Alice and Bob, whose match may call, each in a page of a browser. */
  async function inPages(t) {
    const match = await newMatch(stack);
    const token = userToken(stack, match.alice);
    await rest(stack, 'POST', `/matches/${match.id}/messages`, { token, body: { message: 'hi' } });
    const [alice, bob] = await Promise.all([browser.page(match.alice), browser.page(match.bob, { gateway: 1 })]);
    t.after(() => browser.leave([alice, bob]));
    return { match, alice, bob };
  }

  /** The same with Alice's call on Bob's page. */
  async function ringing(t) {
    const all = await inPages(t);
    await ring(all);
    return all;
  }

  async function ring({ match, alice, bob }) {
    await alice.evaluate(async (id) => {
      window.inCall = await app.call(app.socket, id, await newPeer());
    }, match.id);
    await bob.waitForFunction(() => app.calls.some(([name]) => name === 'showRinging'));
  }

  /** The same with both seeing each other. */
  async function talking(t) {
    const all = await ringing(t);
    await all.bob.evaluate(async () => {
      const [, incoming] = app.calls.findLast(([name]) => name === 'showRinging');
      window.inCall = await app.accept(app.socket, incoming, await newPeer());
    });
    for (const page of [all.alice, all.bob]) await seesFrames(page);
    return all;
  }

  /** Waits until more of the other's video has been decoded than so far. */
  const seesFrames = (page) =>
    page.evaluate(async (limitMs) => {
      const decoded = async () => {
        const all = [...(await peer.getStats()).values()];
        const videos = all.filter(({ type, kind }) => type === 'inbound-rtp' && kind === 'video');
        return videos.reduce((sum, { framesDecoded }) => sum + framesDecoded, 0);
      };
      const [before, end] = [await decoded(), Date.now() + limitMs];
      while ((await decoded()) <= before) {
        if (Date.now() > end) throw new Error(`no frames: ${peer.connectionState} ${peer.signalingState}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }, LIMIT_MS);
  const ends = (page) =>
    page.evaluate(() => app.calls.filter(([name]) => name === 'showCallEnded').map(([, , reason]) => reason));
  const ended = (page) => page.waitForFunction(() => app.calls.some(([name]) => name === 'showCallEnded'));
  const listeners = (page) =>
    page.evaluate(() => {
      const events = ['connect', 'video_call_signal', 'video_call_ended'];
      return events.map((event) => app.socket.listeners(event).length);
    });

  test('the gateway serves no scripts, as the document says', async () => {
    for (const name of ['socket.io.js', 'socket.io.esm.min.js']) {
      assert.equal((await fetch(`${stack.url(0)}/socket.io/${name}`)).status, 404);
    }
  });

  test('a page without a bundler opens a chat, saves and reads by REST', async (t) => {
    const { match, alice } = await inPages(t);
    const shown = await alice.evaluate(async (id) => {
      await app.enterChat(app.socket, id);
      await app.save(app.socket, id, 'from a page');
      await app.send(app.socket, id, 'and again');
      return [...app.openChats.get(id).shown.values()].map(({ message }) => message);
    }, match.id);
    assert.deepEqual(shown, ['hi', 'from a page', 'and again']);
  });

  test('a call shows both each other, lives through reconnects and offers of both, and leaves nothing', async (t) => {
    const { alice, bob } = await talking(t);
    for (const page of [alice, bob]) {
      await page.evaluate(() => app.socket.io.engine.close());
      await page.waitForFunction(() => app.socket.connected);
    }
    await Promise.all([alice, bob].map(offerLater));
    for (const page of [alice, bob]) {
      const lines = () => peer.currentLocalDescription.sdp.match(/^m=/gm).length;
      await page.waitForFunction(`(${lines})() === 4 && peer.signalingState === 'stable'`);
      await seesFrames(page);
    }
    await alice.evaluate(() => inCall.hangUp());
    await ended(bob);
    assert.deepEqual([await ends(alice), await ends(bob)], [['completed'], ['completed']]);
    for (const page of [alice, bob]) assert.deepEqual(await listeners(page), [3, 0, 1]);
  });

  /** Makes an offer that is a moment on its way, so that it meets one of the other side. */
  const offerLater = (page) =>
    page.evaluate(() => {
      const { packet } = app.socket;
      app.socket.packet = (content) => {
        const lateMs = content.data?.[0] === 'video_call_signal' ? 300 : 0;
        setTimeout(() => packet.call(app.socket, content), lateMs);
      };
      peer.addTransceiver('audio');
    });

  for (const side of ['caller', 'callee']) {
    test(`an offer that was lost with the connection of the ${side} is made again`, async (t) => {
      const { alice, bob } = await ringing(t);
      await alice.evaluate((breaks) => {
        const { packet } = app.socket;
        app.socket.packet = (content) => {
          if (content.data?.[0] !== 'video_call_signal') return packet.call(app.socket, content);
          app.socket.packet = packet;
          app.socket.acks[content.id]({ ok: true }); // taken by a socket that dies before it is written
          window.hasOffered = true;
          if (breaks) app.socket.io.engine.close();
        };
      }, side === 'caller');
      await bob.evaluate(async () => {
        const [, incoming] = app.calls.findLast(([name]) => name === 'showRinging');
        window.inCall = await app.accept(app.socket, incoming, await newPeer());
      });
      await alice.waitForFunction(() => window.hasOffered);
      if (side === 'callee') await bob.evaluate(() => app.socket.io.engine.close());
      for (const page of [alice, bob]) await seesFrames(page);
    });
  }

  test('a call that ended while a device was away ends there, too', async (t) => {
    const { alice, bob } = await talking(t);
    await bob.evaluate(() => {
      app.socket.io.reconnection(false);
      app.socket.io.engine.close();
    });
    await alice.evaluate(() => inCall.hangUp());
    // Steps of a call are repeated for three seconds.
    await pause(3_500);
    await bob.evaluate(() => void app.socket.connect());
    await ended(bob);
    assert.match((await ends(bob))[0], /^(completed|connection_lost)$/);
  });

  test('a ring ends at its time, also when nobody says so', async (t) => {
    const { alice } = await inPages(t);
    await alice.evaluate(() => {
      const [ring] = app.socket.listeners('video_call_incoming');
      ring({ callId: 'c', matchId: 'm', expiresAt: new Date(Date.now() + 100).toISOString() });
    });
    await alice.waitForFunction(() => app.calls.some(([name]) => name === 'stopRinging'));
  });

  test('a call that is rejected, or refused, is told to its caller', async (t) => {
    const { match, alice, bob } = await ringing(t);
    await bob.evaluate(() => {
      const [, incoming] = app.calls.findLast(([name]) => name === 'showRinging');
      return app.reject(app.socket, incoming);
    });
    await ended(alice);
    assert.deepEqual(await ends(alice), ['declined']);
    const other = await newMatch(stack, [match.alice, `${match.bob}-2`]);
    const code = await alice.evaluate(
      (id) => app.call(app.socket, id, new RTCPeerConnection()).catch((error) => error.code),
      other.id,
    );
    assert.equal(code, 'MILESTONE_REQUIRED');
    assert.deepEqual(await listeners(alice), [3, 0, 1]);
  });

  test('a page that goes away ends its call at once, and can call again after a reload', async (t) => {
    const all = await talking(t);
    const { alice, bob } = all;
    await alice.reload();
    await ended(bob);
    assert.deepEqual(await ends(bob), ['completed']);
    await alice.begin();
    await bob.evaluate(() => void (app.calls.length = 0));
    await ring(all);
    await alice.evaluate(() => void dispatchEvent(new Event('pagehide')));
    await bob.waitForFunction(() => app.calls.some(([name]) => name === 'stopRinging'));
  });
});

test('every function of the samples on calls was used, and no page has met a problem', async () => {
  await browser.leave();
  assert.ok(samples.size > 0);
  assert.deepEqual(samples.unused((section) => section === 'Calls'), []);
  assert.deepEqual(browser.errors, []);
});

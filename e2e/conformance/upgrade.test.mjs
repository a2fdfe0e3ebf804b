// The upgrade of a polling session to a WebSocket, and what can come between.
import { compare, each } from './support/compare.mjs';
import { answerOf, shown } from './support/http.mjs';
import { Polling } from './support/polling.mjs';
import { Tcp } from './support/tcp.mjs';
import { binary, close, ping, text, WebSocketWire } from './support/websocket.mjs';

const join = (...parts) => Buffer.concat(parts);

/** A second transport of a session. */
function second(polling, first) {
  return WebSocketWire.open(polling.server, { query: `EIO=4&transport=websocket&sid=${polling.sid}`, first });
}

async function probed(polling) {
  const wire = await second(polling);
  wire.send('2probe');
  return [wire, await wire.next()];
}

/** What follows over the WebSocket, up to the echo of a last message. */
async function rest(wire) {
  wire.send('4fence');
  const seen = await wire.until('text 4fence');
  wire.destroy();
  return seen;
}

/** What the second transport answers to bytes that are no upgrade, and what is left of the first. */
const failing = (bytes) => async (polling) => {
  const wire = await second(polling);
  wire.write(bytes);
  const seen = await wire.until();
  return [...seen, 'and by polling:', ...(await polling.rest())];
};

const failingAfterProbe = (bytes) => async (polling) => {
  const [wire, answer] = await probed(polling);
  wire.write(bytes);
  const seen = await wire.until();
  return [answer, ...seen, 'and by polling:', ...(await polling.rest())];
};

const FAILING = {
  'a message in place of the probe': failing(text('4hello')),
  'a ping without probe': failing(text('2')),
  'a pong in place of the probe': failing(text('3probe')),
  'bytes in place of the probe': failing(binary([1])),
  'words in place of the probe': failing(text('abc')),
  'a frame that breaks the rules in place of the probe': failing(text('2probe', { masked: false })),
  'a close in place of the probe': failing(close(1000)),
  'a message in place of the upgrade packet': failingAfterProbe(text('4hello')),
  'words in place of the upgrade packet': failingAfterProbe(text('abc')),
  'bytes in place of the upgrade packet': failingAfterProbe(binary([1])),
  'a close in place of the upgrade packet': failingAfterProbe(close(1001)),
  'a close packet in place of the upgrade packet': failingAfterProbe(text('1')),
};

const UPGRADES = {
  async 'an upgrade'(polling) {
    const [wire, answer] = await probed(polling);
    wire.send('5');
    return [answer, ...(await rest(wire)), shown(await polling.get())];
  },
  async 'an upgrade beside a GET'(polling) {
    const waiting = await Tcp.connect(polling.server.port);
    await waiting.write(polling.request('GET'));
    const [wire, answer] = await probed(polling);
    const fetched = shown(await answerOf(waiting));
    wire.send('5');
    return [answer, fetched, ...(await rest(wire))];
  },
  async 'the probe comes with the handshake'(polling) {
    const wire = await second(polling, text('2probe'));
    const answer = await wire.next();
    wire.send('5');
    return [answer, ...(await rest(wire))];
  },
  async 'messages right behind the upgrade packet'(polling) {
    const [wire, answer] = await probed(polling);
    wire.write(join(text('5'), text('4a'), binary([1]), text('4b')));
    return [answer, ...(await rest(wire))];
  },
  async 'a ping frame during the upgrade'(polling) {
    const [wire, answer] = await probed(polling);
    wire.write(join(ping('p'), text('5')));
    return [answer, ...(await rest(wire))];
  },
  async 'an upgrade packet in place of the probe'(polling) {
    const wire = await second(polling);
    wire.send('5');
    return rest(wire);
  },
  async 'two probes'(polling) {
    const [wire, answer] = await probed(polling);
    wire.send('2probe');
    const seen = [answer, await wire.next()];
    if (seen[1].startsWith('close')) return [...seen, await wire.next(), 'and by polling:', ...(await polling.rest())];
    wire.send('5');
    return [...seen, ...(await rest(wire))];
  },
  async 'a message by polling before the probe'(polling) {
    await polling.post('4hello');
    const [wire, answer] = await probed(polling);
    wire.send('5');
    return [answer, ...(await rest(wire))];
  },
  async 'a message by polling between probe and upgrade packet'(polling) {
    const [wire, answer] = await probed(polling);
    const posted = shown(await polling.post('4hello'));
    wire.send('5');
    return [answer, posted, ...(await rest(wire))];
  },
  async 'a message by polling, fetched between probe and upgrade packet'(polling) {
    const [wire, answer] = await probed(polling);
    const posted = shown(await polling.post('4hello'));
    const fetched = shown(await polling.get());
    wire.send('5');
    return [answer, posted, fetched, ...(await rest(wire))];
  },
  async 'a POST after the upgrade'(polling) {
    const [wire, answer] = await probed(polling);
    wire.send('5');
    await wire.send('4done');
    const done = await wire.next();
    return [answer, done, shown(await polling.post('4late')), ...(await rest(wire))];
  },
  async 'a second WebSocket during the upgrade'(polling) {
    const [wire, answer] = await probed(polling);
    const other = await second(polling);
    const refused = await other.until();
    wire.send('5');
    return [answer, ...refused, ...(await rest(wire))];
  },
  async 'a second WebSocket after the upgrade'(polling) {
    const [wire, answer] = await probed(polling);
    wire.write(join(text('5'), text('4done')));
    const done = await wire.next();
    const other = await second(polling);
    return [answer, done, ...(await other.until()), ...(await rest(wire))];
  },
  async 'an upgrade after one that failed'(polling) {
    const failed = await second(polling);
    failed.send('4hello');
    const seen = await failed.until();
    const [wire, answer] = await probed(polling);
    wire.send('5');
    return [...seen, answer, ...(await rest(wire))];
  },
  async 'a WebSocket that goes away before its probe'(polling) {
    const wire = await second(polling);
    wire.destroy();
    return polling.rest();
  },
  async 'a WebSocket that goes away after its probe'(polling) {
    const [wire, answer] = await probed(polling);
    wire.destroy();
    return [answer, ...(await polling.rest())];
  },
  async 'a WebSocket that goes away after the upgrade'(polling) {
    const [wire, answer] = await probed(polling);
    wire.write(join(text('5'), text('4done')));
    const done = await wire.next();
    wire.end();
    const end = await wire.until();
    return [answer, done, ...end, shown(await polling.get())];
  },
  async 'a session that is closed during the upgrade'(polling) {
    const [wire, answer] = await probed(polling);
    const posted = shown(await polling.post('1'));
    return [answer, posted, ...(await wire.until())];
  },
  async 'a bad body during the upgrade'(polling) {
    const [wire, answer] = await probed(polling);
    await polling.post('abc');
    return [answer, ...(await wire.until())];
  },
};

/** With the longer times of the suite plain: an upgrade that never ends. */
async function never(server) {
  const polling = await Polling.open(server);
  await polling.post('40{"token":"good"}');
  const [wire, answer] = await probed(polling);
  // The heartbeat goes on by polling.
  const beat = setInterval(() => polling.post('3').catch(() => {}), 500);
  try {
    return [answer, ...(await wire.until())];
  } finally {
    clearInterval(beat);
  }
}

const session = (run) => async (server) => run(await Polling.open(server));
compare('upgrade', 'eio', each({ ...FAILING, ...UPGRADES }, session));
compare('upgrade, limits', 'plain', { 'an upgrade that never ends': never });

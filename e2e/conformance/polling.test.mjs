// Long polling: payloads, requests that overlap or break off, and the end of a session.
import { setTimeout as sleep } from 'node:timers/promises';
import { compare, each } from './support/compare.mjs';
import { answerOf, exchange, shown } from './support/http.mjs';
import { Polling } from './support/polling.mjs';
import { Tcp } from './support/tcp.mjs';

const MAX_PAYLOAD = 1_000_000;

/** Bodies of one POST; then the session is asked what is left. */
const BODIES = {
  'a message': '4hello',
  'three messages': '4a\x1e4b\x1e4c',
  'an empty message': '4',
  'text beyond the first plane': '4ä€😀',
  'an escaped line break': '4a\\nb',
  'a line break': '4a\nb',
  bytes: 'bAQIDBA==',
  'text and bytes': '4hello\x1ebAQIDBA==\x1e4bye',
  'no bytes': 'b',
  'bytes without padding': 'bAQIDBA',
  'bytes with the letters of URLs': 'b-_-_',
  'bytes that are not base64': 'b!!!!',
  'bytes with white space': 'bAQ ID\nBA==',
  'a body without a byte': '',
  'a separator alone': '\x1e',
  'a separator at the end': '4a\x1e',
  'a separator at the start': '\x1e4a',
  'two separators': '4a\x1e\x1e4b',
  'an unknown type': '7',
  words: 'abc',
  'a good message before a bad one': '4a\x1eabc',
  'an open packet': '0',
  'a ping': '2',
  'a probe': '2probe',
  'a pong': '3',
  'a pong with data': '3probe',
  'an upgrade packet': '5',
  'a noop': '6',
  'a close packet': '1',
  'a message before a close packet': '4a\x1e1',
  'a message behind a close packet': '1\x1e4a',
  'UTF-8 that is broken': Buffer.from([0x34, 0x61, 0xff]),
  'UTF-8 that breaks off': Buffer.from([0x34, 0xe2, 0x82]),
  'a NUL': '4\0',
  'a byte order mark': '\ufeff4a',
  'as many bytes as may be': `4${'x'.repeat(MAX_PAYLOAD - 1)}`,
  'one byte too many': `4${'x'.repeat(MAX_PAYLOAD)}`,
};

const chunked = (polling, chunks) => {
  const head = polling.request('POST', { headers: ['Transfer-Encoding: chunked'] });
  const body = chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('');
  return Buffer.concat([head, Buffer.from(`${body}0\r\n\r\n`)]);
};

/** Posts, so that nothing else changes, until the session is gone; it says so, or that it still lives. */
async function isGone(polling) {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const answer = await polling.post('3');
    if (answer?.status !== 200) return `then: ${shown(answer)}`;
    await sleep(10);
  }
  return 'the session lives';
}

/** Sends a request and leaves it open. */
async function begin(polling, bytes) {
  const tcp = await Tcp.connect(polling.server.port);
  await tcp.write(bytes);
  return tcp;
}

/** A request of the session has been read, as another one that was sent later has been answered. */
async function isRead(polling) {
  await polling.post('3');
}

const REQUESTS = {
  async 'a body in chunks'(polling) {
    return [shown(await exchange(polling.server, chunked(polling, ['4hel', 'lo\x1e4b']))), ...(await polling.rest())];
  },
  async 'chunks that are too many'(polling) {
    return [shown(await exchange(polling.server, chunked(polling, ['4', 'x'.repeat(MAX_PAYLOAD)])))];
  },
  async 'a body of bytes'(polling) {
    return [shown(await polling.post('4x', ['Content-Type: application/octet-stream'])), await isGone(polling)];
  },
  async 'a body without type'(polling) {
    return [shown(await polling.post('4x', [])), ...(await polling.rest())];
  },
  async 'messages that wait are fetched together'(polling) {
    await polling.post('4a\x1ebAQ==');
    await polling.post('4b');
    return [shown(await polling.get())];
  },
  async 'a GET that waits'(polling) {
    const waiting = await begin(polling, polling.request('GET'));
    await isRead(polling);
    await polling.post('4hello');
    return [shown(await answerOf(waiting)), ...(await polling.rest())];
  },
  async 'two GETs'(polling) {
    const first = await begin(polling, polling.request('GET'));
    await isRead(polling);
    const second = await polling.get();
    return [shown(await answerOf(first)), shown(second), await isGone(polling)];
  },
  async 'two POSTs'(polling) {
    const whole = polling.request('POST', { body: '4hello' });
    const first = await begin(polling, whole.subarray(0, -3));
    // Until the server knows of the first, the second is one of its own.
    let second = await polling.post('3');
    while (second?.status === 200) second = await polling.post('3');
    await first.write(whole.subarray(-3));
    return [shown(await answerOf(first)), shown(second), await isGone(polling)];
  },
  async 'a GET that is broken off'(polling) {
    const waiting = await begin(polling, polling.request('GET'));
    await isRead(polling);
    waiting.destroy();
    return [await isGone(polling)];
  },
  async 'a GET whose client is half gone'(polling) {
    const waiting = await begin(polling, polling.request('GET'));
    await isRead(polling);
    waiting.end();
    return [await isGone(polling)];
  },
  async 'a POST that is broken off'(polling) {
    const whole = polling.request('POST', { body: '4hello' });
    const broken = await begin(polling, whole.subarray(0, -3));
    await sleep(50);
    broken.destroy();
    return [await isGone(polling)];
  },
  async 'a close packet beside a GET'(polling) {
    const waiting = await begin(polling, polling.request('GET'));
    await isRead(polling);
    const posted = await polling.post('1');
    return [shown(await answerOf(waiting)), shown(posted), await isGone(polling)];
  },
  async 'a bad body beside a GET'(polling) {
    const waiting = await begin(polling, polling.request('GET'));
    await isRead(polling);
    const posted = await polling.post('abc');
    return [shown(await answerOf(waiting)), shown(posted), await isGone(polling)];
  },
  async 'a heartbeat'(polling) {
    return [shown(await polling.get()), shown(await polling.post('3')), shown(await polling.get())];
  },
  async 'a heartbeat that is not answered'(polling) {
    const ping = shown(await polling.get());
    const end = await polling.get();
    return [ping, shown(end), await isGone(polling)];
  },
  async 'two requests on one connection'(polling) {
    const keeping = (bytes) => Buffer.from(bytes.toString().replace('Connection: close\r\n', ''));
    const tcp = await begin(polling, keeping(polling.request('POST', { body: '4hello' })));
    const posted = shown(await answerOf(tcp));
    await tcp.write(keeping(polling.request('GET')));
    const fetched = shown(await answerOf(tcp));
    tcp.destroy();
    return [posted, fetched];
  },
};

const session = (run) => async (server) => run(await Polling.open(server));
const body = (content) =>
  session(async (polling) => [shown(await polling.post(content)), ...(await polling.rest())].map(short));
const short = (line) => (line.length <= 300 ? line : `${line.slice(0, 20)}… (${line.length})`);
compare('polling', 'eio', { ...each(BODIES, body), ...each(REQUESTS, session) });

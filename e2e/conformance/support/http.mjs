// HTTP requests as bytes, and what is compared of their answers.
import { Tcp } from './tcp.mjs';

const SHOWN_HEADERS = /^(content-type|cache-control|access-control-[a-z-]+|vary|sec-websocket-(protocol|extensions))$/;
const COMPARED_BY_DEFAULT = ['content-type'];

/** A request as text. `query` comes after `EIO=4&transport=polling`, `target` replaces path and query. */
export function request(server, method, { query = '', target, headers = [], body } = {}) {
  const where = target ?? `${server.path}?EIO=4&transport=polling${query && `&${query}`}`;
  const head = [`${method} ${where} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...headers];
  if (body !== undefined) head.push(`Content-Length: ${Buffer.byteLength(body)}`);
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), Buffer.from(body ?? '')]);
}

/** The opening handshake of a WebSocket as text. */
export function upgradeRequest(
  server,
  { query = 'EIO=4&transport=websocket', method = 'GET', headers, more = [] } = {},
) {
  const handshake = headers ?? [
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  ];
  const head = [`${method} ${server.path}?${query} HTTP/1.1`, 'Host: localhost', ...handshake, ...more];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n`);
}

/** Sends bytes on a connection of their own; the answer `{status, headers, body}`, or undefined if there is none. */
export async function exchange(server, bytes) {
  const tcp = await Tcp.connect(server.port);
  try {
    await tcp.write(bytes);
    return await answerOf(tcp);
  } finally {
    tcp.destroy();
  }
}

/** The next answer on a connection. */
export function answerOf(tcp) {
  return tcp.take(parse);
}

function parse(bytes, ended) {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [first, ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n');
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const status = Number(first.split(' ')[1]);
  const start = end + 4;
  const body = bodyOf(bytes.subarray(start), status, headers, ended);
  return body && [{ status, headers, body: body.text }, start + body.length];
}

function bodyOf(rest, status, headers, ended) {
  if (status === 101 || status === 204) return { text: '', length: 0 };
  if (headers.has('content-length')) {
    const length = Number(headers.get('content-length'));
    // An answer to HEAD tells the length of what is not there.
    if (rest.length < length) return ended ? { text: '', length: rest.length } : undefined;
    return { text: rest.subarray(0, length).toString(), length };
  }
  if (headers.get('transfer-encoding') === 'chunked') {
    const end = rest.indexOf('0\r\n\r\n');
    if (end < 0) return undefined;
    const text = rest
      .subarray(0, end)
      .toString()
      .replace(/^[0-9a-f]+\r\n|\r\n[0-9a-f]+\r\n|\r\n$/g, '');
    return { text, length: end + 5 };
  }
  return ended ? { text: rest.toString(), length: rest.length } : undefined;
}

/** An answer as it is compared: status, the headers asked for and the body. */
export function shown(answer, headers = COMPARED_BY_DEFAULT) {
  if (!answer) return 'no answer';
  const names = [...answer.headers.keys()].filter((name) => SHOWN_HEADERS.test(name));
  const kept = names.filter((name) => headers === 'all' || headers.includes(name)).sort();
  const parts = [answer.status, ...kept.map((name) => `${name}: ${answer.headers.get(name)}`.toLowerCase())];
  return [...parts, answer.body].join(' | ');
}

/** Text without what differs from run to run. */
export function withoutIds(text) {
  return text.replace(/"(sid|pid)":"[^"]+"/g, (_, name) => `"${name}":"…"`);
}

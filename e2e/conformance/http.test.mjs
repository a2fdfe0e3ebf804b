// Requests that begin a session or fail to: status, headers and bodies.
import { compare, each } from './support/compare.mjs';
import { exchange, request, shown, upgradeRequest } from './support/http.mjs';
import { Polling } from './support/polling.mjs';

const ORIGIN = 'Origin: http://localhost:8080';

const get = (query, headers) => (server) => request(server, 'GET', { target: `${server.path}${query}`, headers });
const method = (name, options) => (server) => request(server, name, options);
const upgrade = (options) => (server) => upgradeRequest(server, options);

/** The headers of an opening handshake, one of them replaced; or left out, for `''`. */
function handshake(name, value) {
  const headers = {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    [name]: value,
  };
  return Object.entries(headers).flatMap(([key, content]) => (content ? [`${key}: ${content}`] : []));
}

const REQUESTS = {
  'a polling handshake': method('GET'),
  'no query': get(''),
  'no transport': get('?EIO=4'),
  'an unknown transport': get('?EIO=4&transport=tobi'),
  'a transport named like a property of all objects': get('?EIO=4&transport=constructor'),
  'a transport in capitals': get('?EIO=4&transport=POLLING'),
  'an empty transport': get('?EIO=4&transport='),
  'a transport named twice': get('?EIO=4&transport=tobi&transport=polling'),
  'an escaped transport': get('?EIO=4&transport=%70olling'),
  'the transport of sessions over HTTP/3': get('?EIO=4&transport=webtransport'),
  'an unknown sid': get('?EIO=4&transport=polling&sid=xyz'),
  'an unknown sid in a POST': method('POST', { query: 'sid=xyz', body: '4x' }),
  'a sid named like a property of all objects': get('?EIO=4&transport=polling&sid=__proto__'),
  'an empty sid': get('?EIO=4&transport=polling&sid='),
  'a very long sid': get(`?EIO=4&transport=polling&sid=${'x'.repeat(4000)}`),
  'a handshake by POST': method('POST', { body: 'x' }),
  'a handshake by PUT': method('PUT', { body: '' }),
  'a handshake by DELETE': method('DELETE'),
  'a handshake by HEAD': method('HEAD'),
  'a handshake by an unknown method': method('TOBI'),
  'protocol 3': get('?EIO=3&transport=polling'),
  'protocol 5': get('?EIO=5&transport=polling'),
  'no protocol': get('?transport=polling'),
  'a protocol that is no number': get('?EIO=abc&transport=polling'),
  'a protocol with a zero before it': get('?EIO=04&transport=polling'),
  'a websocket that is no upgrade': get('?EIO=4&transport=websocket'),
  'a path without its last slash': (server) =>
    request(server, 'GET', { target: `${server.path.slice(0, -1)}?EIO=4&transport=polling` }),
  'another path': (server) => request(server, 'GET', { target: '/elsewhere/?EIO=4&transport=polling' }),
  'a path below': (server) => request(server, 'GET', { target: `${server.path}below?EIO=4&transport=polling` }),
  'a request without a target': () => Buffer.from('GET\r\n\r\n'),
  'something that is not HTTP': () => Buffer.from('\x16\x03\x01\x02\x00\r\n\r\n'),
  'headers that are too large': method('GET', { headers: [`X-Large: ${'x'.repeat(20_000)}`] }),
  'an upgrade': upgrade(),
  'an upgrade to an unknown transport': upgrade({ query: 'EIO=4&transport=tobi' }),
  'an upgrade of an unknown sid': upgrade({ query: 'EIO=4&transport=websocket&sid=xyz' }),
  'an upgrade with protocol 3': upgrade({ query: 'EIO=3&transport=websocket' }),
  'an upgrade without protocol': upgrade({ query: 'transport=websocket' }),
  'an upgrade without key': upgrade({ headers: handshake('Sec-WebSocket-Key', '') }),
  'an upgrade with a key that is too short': upgrade({ headers: handshake('Sec-WebSocket-Key', 'c2hvcnQ=') }),
  'an upgrade with a key that is not base64': upgrade({ headers: handshake('Sec-WebSocket-Key', '!'.repeat(24)) }),
  'an upgrade without version': upgrade({ headers: handshake('Sec-WebSocket-Version', '') }),
  'an upgrade with another version': upgrade({ headers: handshake('Sec-WebSocket-Version', '12') }),
  'an upgrade with a draft version': upgrade({ headers: handshake('Sec-WebSocket-Version', '8') }),
  'an upgrade by POST': upgrade({ method: 'POST' }),
  'an upgrade to something else': upgrade({ headers: handshake('Upgrade', 'h2c') }),
  'an upgrade in capitals': upgrade({ headers: handshake('Upgrade', 'WebSocket') }),
  'an upgrade among other options': upgrade({ headers: handshake('Connection', 'keep-alive, Upgrade') }),
  'an upgrade with subprotocols': upgrade({ more: ['Sec-WebSocket-Protocol: a, b'] }),
  'an upgrade with an extension': upgrade({ more: ['Sec-WebSocket-Extensions: permessage-deflate'] }),
};

const CROSS_ORIGIN = {
  'a preflight': method('OPTIONS', { headers: [ORIGIN, 'Access-Control-Request-Method: POST'] }),
  'a preflight that asks for a header': method('OPTIONS', {
    headers: [ORIGIN, 'Access-Control-Request-Method: POST', 'Access-Control-Request-Headers: x-a'],
  }),
  'an OPTIONS that is no preflight': method('OPTIONS', { headers: [ORIGIN] }),
  'a handshake from elsewhere': method('GET', { headers: [ORIGIN] }),
  'an error from elsewhere': get('?EIO=4&transport=tobi', [ORIGIN]),
};

/** Requests of a session, and what is left of it. */
const OF_A_SESSION = {
  'a GET with protocol 3': (polling) =>
    request(polling.server, 'GET', { target: `${polling.server.path}?EIO=3&transport=polling&sid=${polling.sid}` }),
  'a GET for the other transport': (polling) =>
    request(polling.server, 'GET', { target: `${polling.server.path}?EIO=4&transport=websocket&sid=${polling.sid}` }),
  'a PUT': (polling) => polling.request('PUT', { body: '3' }),
  'a DELETE': (polling) => polling.request('DELETE'),
  'an upgrade with protocol 3': (polling) =>
    upgradeRequest(polling.server, { query: `EIO=3&transport=websocket&sid=${polling.sid}` }),
  'an upgrade without key': (polling) =>
    upgradeRequest(polling.server, {
      query: `EIO=4&transport=websocket&sid=${polling.sid}`,
      headers: handshake('Sec-WebSocket-Key', ''),
    }),
  'a POST by JSONP': (polling) =>
    polling.request('POST', { body: 'd=4x', headers: ['Content-Type: application/x-www-form-urlencoded'] }),
};

const one = (bytes, headers) => async (server) => [shown(await exchange(server, bytes(server)), headers)];
compare('HTTP', 'eio', {
  ...each(REQUESTS, (bytes) => one(bytes, ['content-type', 'sec-websocket-protocol', 'sec-websocket-extensions'])),
  ...each(CROSS_ORIGIN, (bytes) => one(bytes, 'all')),
});

compare(
  'HTTP of a session',
  'eio',
  each(OF_A_SESSION, (bytes) => async (server) => {
    const polling = await Polling.open(server);
    return [shown(await exchange(server, bytes(polling))), ...(await polling.rest())];
  }),
);

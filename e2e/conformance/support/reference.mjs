// npm's server with the timings and the behaviour of a suite: `node reference.mjs SUITE OPTIONS`; prints its port.
import { createServer } from 'node:http';
import { attach } from 'engine.io';
import { Server } from 'socket.io';

const SUITES = { eio: openEio, plain: openPlain, sio: openSio };

function openEio(http) {
  const engine = attach(http, { path: '/engine.io/', pingInterval: 300, pingTimeout: 200, cors: { origin: '*' } });
  engine.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
}

function openPlain(http, { recovery, cors }) {
  const io = new Server(http, {
    pingInterval: 1000,
    pingTimeout: 800,
    maxHttpBufferSize: 100_000,
    connectTimeout: 1500,
    upgradeTimeout: 1500,
    ...(cors && { cors: { origin: cors } }),
    ...(recovery && { connectionStateRecovery: { skipMiddlewares: false } }),
  });
  io.use((socket, next) => {
    if (socket.handshake.auth.token === 'good') return next();
    next(Object.assign(new Error('unauthorized'), { data: { code: 'UNAUTHORIZED' } }));
  });
  io.on('connection', (socket) => {
    socket.on('echo', (...args) => typeof args.at(-1) === 'function' && args.pop()(...args));
    socket.on('hi', (...args) => socket.emit('hi', ...args));
  });
}

function openSio(http) {
  const io = new Server(http, { pingInterval: 300, pingTimeout: 200, connectTimeout: 1000, cors: { origin: '*' } });
  io.on('connection', (socket) => {
    socket.emit('auth', socket.handshake.auth);
    socket.on('message', (...args) => socket.emit('message-back', ...args));
    socket.on('message-with-ack', (...args) => args.pop()(...args));
  });
  io.of('/custom').on('connection', (socket) => socket.emit('auth', socket.handshake.auth));
}

const [suite, options] = process.argv.slice(2);
const http = createServer((_, response) => response.writeHead(404).end());
SUITES[suite](http, JSON.parse(options));
http.listen(0, '127.0.0.1', () => console.log(http.address().port));

// What ./dev bench compares with: socket.io as npm delivers it, in one process. It believes everybody, stores nothing
// and relays to rooms. Prints its port; `gc` on standard input collects the garbage; ends with its standard input.
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { Server } from 'socket.io';

const http = createServer();
// Connections that only open are measured too: they may take their time.
const io = new Server(http, { serveClient: false, connectTimeout: 3_600_000 });
const heads = new Map();

io.on('connection', (socket) => {
  const senderId = socket.id;

  socket.on('join_chat', (matchId, ack) => {
    socket.join(matchId);
    ack({ ok: true, matchId, lastSeq: 0, messages: [], hasMore: false, milestones: [], unlocked: [], call: null });
  });

  socket.on('send_message', ({ matchId, message, clientId }, ack) => {
    const seq = (heads.get(matchId) ?? 0) + 1;
    heads.set(matchId, seq);
    const id = `${matchId}:${seq}`;
    const createdAt = new Date().toISOString();
    const timestamp = createdAt;
    socket.to(matchId).emit('receive_message', { id, matchId, seq, senderId, message, clientId, createdAt, timestamp });
    ack({ ok: true, id, seq, createdAt, clientId, duplicate: false });
  });
});

const input = createInterface({ input: process.stdin });
input.on('line', () => {
  globalThis.gc();
  console.log('collected');
});
input.on('close', () => process.exit());

http.listen(0, '127.0.0.1', 8192, () => console.log(http.address().port));

// The way to NATS that loses events: of what is stored and told to each subscription of a user's inbox, every n-th.
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';

/** Starts one before the server that the stack in `dir` is going to start. */
export async function loseEvents(dir, every) {
  const listener = createServer((client) => {
    const server = connect(portOfNats(dir), '127.0.0.1');
    const pass = lossy(every, (bytes) => client.write(bytes));
    client.on('data', (bytes) => server.write(bytes));
    server.on('data', pass);
    for (const [one, other] of [[client, server], [server, client]]) {
      one.on('error', () => {});
      one.on('close', () => other.destroy());
    }
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return { url: `nats://127.0.0.1:${listener.address().port}`, close: () => listener.close() };
}

function portOfNats(dir) {
  const log = readFileSync(join(dir, 'log', 'nats.log'), 'utf8');
  return Number(log.match(/Listening for client connections on 127\.0\.0\.1:(\d+)/)[1]);
}

/** Takes what the server says in pieces, and gives on what is whole and not lost. */
function lossy(every, give) {
  const counts = new Map();
  const isLost = (line) => {
    const [, subject, sid] = line.split(' ');
    if (!/^user\.[^.]+\.chat$/.test(subject)) return false;
    counts.set(sid, (counts.get(sid) ?? 0) + 1);
    return counts.get(sid) % every === 0;
  };
  let rest = Buffer.alloc(0);
  return (bytes) => {
    rest = Buffer.concat([rest, bytes]);
    for (let end; (end = rest.indexOf('\r\n') + 2) > 1; ) {
      const line = rest.toString('latin1', 0, end - 2);
      const isMessage = /^H?MSG /.test(line);
      if (isMessage) end += Number(line.split(' ').at(-1)) + 2;
      if (rest.length < end) return;
      if (!isMessage || !isLost(line)) give(rest.subarray(0, end));
      rest = rest.subarray(end);
    }
  };
}

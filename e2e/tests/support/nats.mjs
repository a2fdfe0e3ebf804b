// NATS as a test sees it: what is published on a subject, and a way to it that can be cut.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/** Subscribes; `heard` gets the subject of each message. Its bytes are counted as text, which is enough for ours. */
export async function listen(natsUrl, subject) {
  const { hostname, port } = new URL(natsUrl);
  const client = connect(Number(port), hostname).setEncoding('latin1');
  const heard = [];
  let rest = '';
  const ready = new Promise((resolve) => {
    client.on('data', (text) => {
      rest += text;
      for (let end; (end = rest.indexOf('\r\n')) >= 0; ) {
        const [verb, ...words] = rest.slice(0, end).split(' ');
        const length = /^H?MSG$/.test(verb) ? Number(words.at(-1)) + 2 : 0;
        if (rest.length < end + 2 + length) return;
        rest = rest.slice(end + 2 + length);
        if (length > 0) heard.push(words[0]);
        if (verb === 'PING') client.write('PONG\r\n');
        if (verb === 'PONG') resolve();
      }
    });
  });
  client.on('error', () => {});
  client.write(`CONNECT {"verbose":false,"headers":true}\r\nSUB ${subject} 1\r\nPING\r\n`);
  await ready;
  return { heard, close: () => client.destroy() };
}

/** A way to NATS that can be cut, and mended. */
export async function cuttable(natsUrl) {
  const { hostname, port } = new URL(natsUrl);
  const open = new Set();
  let isCut = false;
  const listener = createServer((client) => {
    if (isCut) return client.destroy();
    const server = connect(Number(port), hostname);
    for (const [one, other] of [[client, server], [server, client]]) {
      open.add(one);
      one.on('data', (bytes) => other.write(bytes));
      one.on('error', () => {});
      one.on('close', () => {
        open.delete(one);
        other.destroy();
      });
    }
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const cut = (is) => {
    isCut = is;
    if (is) open.forEach((socket) => socket.destroy());
  };
  return {
    url: `nats://127.0.0.1:${listener.address().port}`,
    cut: () => cut(true),
    mend: () => cut(false),
    close: () => {
      cut(true);
      listener.close();
    },
  };
}

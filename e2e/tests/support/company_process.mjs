// One of the processes of `company.mjs`: pairs of people who talk to each other on the official client.
import { io } from 'socket.io-client';

const LIMIT_MS = 60_000;
/** Connects at a time: each is a few requests. */
const AT_ONCE = 25;

let clients = [];

const COMMANDS = {
  /** Connects everybody and joins their chat. */
  async open({ url, pairs }) {
    clients = pairs.flatMap(({ match, people }) => people.map((person) => ({ match, ...person })));
    const waiting = [...clients];
    const openNext = async () => {
      for (let client = waiting.shift(); client; client = waiting.shift()) await open(url, client);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, openNext));
    return clients.length;
  },

  /** Everybody says so many things, all at once, and waits for the acks. */
  async talk({ name, count }) {
    const said = clients.flatMap(({ socket, match }) =>
      Array.from({ length: count }, (_, n) => ask(socket, 'send_message', { matchId: match, message: `${name}${n}` })),
    );
    return (await Promise.all(said)).filter(({ ok }) => !ok).map((ack) => JSON.stringify(ack));
  },

  /** Everybody sends bytes, which chats do not take: the code of each answer. */
  async sendBytes() {
    const bytes = [Buffer.alloc(3_000, 7), Buffer.from([0, 255])];
    const asked = clients.map(({ socket, match }) => ask(socket, 'send_message', { matchId: match, message: bytes }));
    return (await Promise.all(asked)).map((ack) => ack.error?.code);
  },

  /** How far those are who are least far, unless they have lost their connection. */
  progress() {
    const there = clients.filter(({ losses }) => losses.length === 0);
    const least = (of) => Math.min(...there.map(of));
    return [{ heard: least(({ heard }) => heard.length), pings: least(({ pings }) => pings()) }];
  },

  /** How everybody fares. */
  report: () =>
    clients.map(({ socket, transports, heard, losses }) => {
      const transport = socket.io.engine.transport.name;
      return { transports, transport, connected: socket.connected, heard, losses };
    }),

  close() {
    for (const { socket } of clients) socket.disconnect();
  },
};

async function open(url, client) {
  const { token, transports, match } = client;
  // The default is not to name them.
  const socket = io(url, { auth: { token }, forceNew: true, timeout: LIMIT_MS, ...(transports && { transports }) });
  let pings = 0;
  Object.assign(client, { socket, heard: [], losses: [], pings: () => pings });
  socket.io.on('ping', () => (pings += 1));
  socket.on('disconnect', (reason, details) => client.losses.push(`${reason} ${details?.description ?? ''}`));
  socket.on('receive_message', ({ seq, message }) => client.heard.push({ seq, message }));
  let last;
  socket.on('connect_error', (error) => (last = `${error.message}: ${error.description?.message ?? error.description}`));
  await new Promise((resolve, reject) => {
    const limit = setTimeout(() => reject(new Error(`not connected: ${last}`)), LIMIT_MS);
    socket.once('connect', () => resolve(clearTimeout(limit)));
  });
  const ack = await ask(socket, 'join_chat', match);
  if (!ack.ok) throw new Error(JSON.stringify(ack));
}

const ask = (socket, ...event) => socket.timeout(LIMIT_MS).emitWithAck(...event);

process.on('message', async ([command, argument]) => {
  try {
    process.send({ result: (await COMMANDS[command](argument)) ?? [] });
  } catch (error) {
    process.send({ error: `${command}: ${error.stack}` });
  }
});
process.on('disconnect', () => process.exit());

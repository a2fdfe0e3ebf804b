// What a message costs in matches of 2, 64 and 256 members who all have it open, half of them on each of two gateways:
// `node e2e/bench/fan-out.mjs [deliveries/s] [seconds]`, with LOCAL_STACK naming the program.
import { cpuByKind } from './cpu.mjs';
import { Stack } from '../tests/support/stack.mjs';
import { changeMembers } from '../tests/support/grpc.mjs';
import { connect, done, eventually, newMatch, pause, upTo } from '../tests/support/people.mjs';

const SIZES = [2, 64, 256];
const [deliveries, seconds] = process.argv.slice(2).map(Number);
const DELIVERIES_PER_S = deliveries || 1_000;
// What one sender gets acked without being told to wait.
const MESSAGES_PER_S = 1_000;
const MEASURED_MS = (seconds || 10) * 1_000;
// Of the 500 users that one call may name.
const ADDED_AT_ONCE = 50;

async function matchOf(stack, size) {
  const match = await newMatch(stack);
  const more = upTo(size - 2).map((n) => `${match.bob}-${n}`);
  for (let at = 0; at < more.length; at += ADDED_AT_ONCE) {
    await changeMembers(stack, match, { add: more.slice(at, at + ADDED_AT_ONCE) });
  }
  return { ...match, members: [...match.members, ...more] };
}

/** Sends at a rate from one member for a while; how long each delivery took, and how many were acked. */
async function talk(stack, size) {
  const match = await matchOf(stack, size);
  const sockets = [];
  for (const [i, user] of match.members.entries()) {
    const socket = await connect(stack, user, { gateway: i % 2, transports: ['websocket'] });
    await done(socket, 'join_chat', match.id);
    sockets.push(socket);
  }
  const [sender, ...others] = sockets;
  const latencies = [];
  const note = ({ message }) => latencies.push(performance.now() - message.at);
  for (const socket of others) socket.on('receive_message', note);
  const gap = 1_000 / Math.min(DELIVERIES_PER_S / (size - 1), MESSAGES_PER_S);
  const [before, begun] = [cpuByKind(stack), performance.now()];
  let sent = 0;
  while (performance.now() - begun < MEASURED_MS) {
    while (sent * gap <= performance.now() - begun) {
      const message = { at: performance.now() };
      sender.emit('send_message', { matchId: match.id, message, clientId: `c${sent}` }, () => {});
      sent += 1;
    }
    await pause(Math.min(gap, 2));
  }
  await eventually(() => latencies.length === sent * (size - 1), 'all deliveries', 60_000);
  const after = cpuByKind(stack);
  for (const socket of sockets) socket.disconnect();
  const used = Object.entries(after).map(([kind, seconds]) => [kind, seconds - before[kind]]);
  return { sent, latencies: latencies.sort((a, b) => a - b), used };
}

const stack = new Stack();
const LIMITS = { LIMIT_SENDS: '100000/200000', LIMIT_EVENTS: '100000/200000' };
await stack.start({ env: LIMITS });
try {
  for (const size of SIZES) {
    const { sent, latencies, used } = await talk(stack, size);
    const at = (part) => latencies[Math.floor(latencies.length * part)].toFixed(1);
    const us = (seconds, count) => Math.round((seconds * 1e6) / count);
    const total = used.reduce((sum, [, seconds]) => sum + seconds, 0);
    const parts = used.map(([kind, seconds]) => `${kind} ${us(seconds, sent)}`);
    console.log(`${size} members: ${sent} messages, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`);
    console.log(`  ${us(total, sent)} µs a message, ${us(total, latencies.length)} µs a delivery`);
    console.log(`  ${parts.join(', ')} µs a message`);
  }
} finally {
  await stack.stop();
}

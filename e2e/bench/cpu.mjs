// The CPU time of a stack's processes.
import { readdirSync, readFileSync } from 'node:fs';

const TICKS_PER_S = 100;

/** User and system time of a process and its children, in seconds. */
function cpuSeconds(pid) {
  const stats = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(statOf).filter(Boolean);
  const own = stats.filter((stat) => stat.pid === pid || stat.parent === pid);
  return own.reduce((sum, { ticks }) => sum + ticks, 0) / TICKS_PER_S;
}

function statOf(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return { pid: Number(pid), parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) };
  } catch {
    return null;
  }
}

/** By the kind of process: `gateway`, `chat-service`, `nats`, `postgres`, … */
export function cpuByKind(stack) {
  const byKind = {};
  for (const { name, pid } of stack.manifest.members) {
    const kind = name.replace(/-\d+$/, '');
    byKind[kind] = (byKind[kind] ?? 0) + cpuSeconds(pid);
  }
  return byKind;
}

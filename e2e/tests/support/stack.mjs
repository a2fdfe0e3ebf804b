// A whole stack of its own for one test file: real NATS, Redis, PostgreSQL and services on free ports.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after } from 'node:test';

const START_LIMIT_MS = 120_000;

/** Starts a stack and stops it after the file's tests, also when they fail. */
export async function startStack({ gateways = 2, replicas = 2, args = [] } = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'stack-'));
  const child = spawn(
    process.env.LOCAL_STACK ?? 'target/release/local-stack',
    ['run', '--control', '--port', '0', '--dir', dir, '--gateways', gateways, '--replicas', replicas, ...args].map(String),
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const lines = createInterface({ input: child.stdout });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  after(async () => {
    child.stdin.end();
    await exited;
    rmSync(dir, { recursive: true, force: true });
  });
  await lineThat(lines, exited, (line) => line.startsWith('ready '), START_LIMIT_MS);
  return new Stack(dir, child, lines, exited);
}

class Stack {
  #child;
  #lines;
  #exited;

  constructor(dir, child, lines, exited) {
    this.dir = dir;
    this.#child = child;
    this.#lines = lines;
    this.#exited = exited;
  }

  get manifest() {
    return JSON.parse(readFileSync(join(this.dir, 'stack.json'), 'utf8'));
  }

  get secret() {
    return this.manifest.jwtSecret;
  }

  url(gateway) {
    return this.manifest.gateways[gateway].url;
  }

  member(name) {
    return this.manifest.members.find((member) => member.name === name);
  }

  /** Kills, stops, starts, freezes or thaws a member, and waits until that is done. */
  async control(verb, name) {
    const answered = lineThat(this.#lines, this.#exited, (line) => /^(ok|error)/.test(line), START_LIMIT_MS);
    this.#child.stdin.write(`${verb} ${name}\n`);
    const answer = await answered;
    if (!answer.startsWith('ok')) throw new Error(answer);
  }
}

function lineThat(lines, exited, matches, limitMs) {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => finish(reject, new Error('the stack says nothing')), limitMs);
    const read = (line) => matches(line) && finish(resolve, line);
    const finish = (settle, value) => {
      clearTimeout(limit);
      lines.off('line', read);
      settle(value);
    };
    lines.on('line', read);
    exited.then((code) => finish(reject, new Error(`the stack has ended with ${code}`)));
  });
}

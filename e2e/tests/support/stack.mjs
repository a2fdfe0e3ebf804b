// A whole stack of its own for one test file: real NATS, Redis, PostgreSQL and services on free ports.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before } from 'node:test';
import { loseEvents } from './lossy_nats.mjs';
import { disconnectAll } from './people.mjs';

/** The program that starts everything; the services' programs lie beside it. */
export const LOCAL_STACK = process.env.LOCAL_STACK ?? 'target/release/local-stack';

const START_LIMIT_MS = 120_000;

/**
 * A stack for the tests around the call: started before them, and stopped after them, also when they fail.
 * `env` is for its services, `args` for `local-stack run`. Of what each gateway hears for a user every `losing`-th
 * event is lost.
 */
export function useStack(options = {}) {
  const stack = new Stack();
  before(() => stack.start(options));
  after(() => stack.stop());
  return stack;
}

/** A stack of real servers and services, until it is stopped. */
export class Stack {
  dir = mkdtempSync(join(tmpdir(), 'stack-'));
  #child;
  #lines;
  #exited;
  #lossy;

  async start({ gateways = 2, replicas = 2, env = {}, milestones, losing, args = [] }) {
    if (losing) {
      this.#lossy = await loseEvents(this.dir, losing);
      env = { ...env, NATS_URL: this.#lossy.url };
    }
    const all = ['--control', '--port', 0, '--dir', this.dir, '--gateways', gateways, '--replicas', replicas, ...args];
    for (const [name, value] of Object.entries(env)) all.push('--env', `${name}=${value}`);
    if (milestones) {
      const file = join(this.dir, 'milestones.yaml');
      // JSON is YAML.
      writeFileSync(file, JSON.stringify({ milestones }));
      all.push('--milestones-file', file);
    }
    this.#child = spawn(LOCAL_STACK, ['run', ...all.map(String)], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout });
    this.#exited = new Promise((resolve) => this.#child.once('exit', resolve));
    await lineThat(this.#lines, this.#exited, (line) => line.startsWith('ready '), START_LIMIT_MS);
  }

  async stop() {
    disconnectAll();
    this.#child?.stdin.end();
    await this.#exited;
    this.#lossy?.close();
    rmSync(this.dir, { recursive: true, force: true });
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

  /** Whether a member says that it is fit to serve. */
  async isReady(name) {
    const answer = await fetch(`${this.member(name).health}/readyz`, { signal: AbortSignal.timeout(5_000) }).catch(
      () => null,
    );
    return answer?.status === 200;
  }

  /** What a member has logged so far. */
  log(name) {
    return readFileSync(this.member(name).log, 'utf8');
  }

  /** The names of all gateways and services. */
  get services() {
    return this.manifest.members.filter(({ health }) => health).map(({ name }) => name);
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

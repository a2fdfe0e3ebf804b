// Many clients in a few processes of their own, as one Node process is too slow for a thousand.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('company_process.mjs', import.meta.url));

/**
 * Starts so many processes with the clients of these pairs shared out among them. Each pair is a match's id and its two
 * people, each a token and transports. `ask` gives all processes one command and returns all their answers.
 */
export function useCompany(processes) {
  const children = Array.from({ length: processes }, () => fork(PROGRAM, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }));
  after(async () => {
    for (const child of children.filter(({ exitCode }) => exitCode === null)) {
      child.disconnect();
      await once(child, 'exit');
    }
  });
  return {
    /** Shares out the pairs. */
    open: (url, pairs) =>
      Promise.all(
        children.map((child, i) => answer(child, ['open', { url, pairs: pairs.filter((_, k) => k % processes === i) }])),
      ).then((answers) => answers.flat()),
    ask: async (command, argument) => (await Promise.all(children.map((child) => answer(child, [command, argument])))).flat(),
  };
}

async function answer(child, command) {
  child.send(command);
  const [{ error, result }] = await once(child, 'message');
  if (error) throw new Error(error);
  return result;
}

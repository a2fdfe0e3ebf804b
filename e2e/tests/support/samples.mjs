// The code of a document: its ```javascript fences are one module, which tests start and whose use they record.
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOT = new URL('../../../', import.meta.url);
const MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url));
const OPENING = '```javascript';
const CLOSING = '```';

/**
 * The samples of a document as a module in `folder`. It exports `start(yours)`, which runs all of them and returns what
 * they define; `yours` holds the names that the document leaves to the app. `replaced` are literals of the document
 * for which the module takes an expression.
 */
export class Samples {
  #document;
  #path;
  #used = new Map();

  constructor({ document, folder, yours, replaced = {} }) {
    this.#document = document;
    this.name = `${document.replace(/\W/g, '-')}.mjs`;
    this.#path = join(folder, this.name);
    writeFileSync(this.#path, moduleOf(this.text, yours, replaced));
    try {
      symlinkSync(MODULES, join(folder, 'node_modules'));
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
  }

  /** The document. */
  get text() {
    return readFileSync(new URL(this.#document, ROOT), 'utf8');
  }

  /** Its first piece of HTML. */
  get html() {
    return this.text.split('```html\n')[1].split(CLOSING)[0];
  }

  /** The module. */
  get source() {
    return readFileSync(this.#path, 'utf8');
  }

  /** Runs the samples in this process. */
  async start(yours) {
    const { default: start } = await import(pathToFileURL(this.#path));
    return start(yours);
  }

  /** Takes note of what has been called so far, as V8's profiler tells it of a script. */
  record(scripts) {
    const ours = scripts.filter(({ url }) => url.endsWith(`/${this.name}`));
    for (const { functionName, ranges } of ours.flatMap(({ functions }) => functions)) {
      const [{ startOffset, count }] = ranges;
      const before = this.#used.get(startOffset)?.count ?? 0;
      this.#used.set(startOffset, { name: functionName, count: before + count });
    }
  }

  /** The functions that nothing has called, by the lines of the document, in the sections that `isAsked` picks. */
  unused(isAsked) {
    const text = this.text.split('\n');
    const lineOf = (offset) => this.source.slice(0, offset).split('\n').length;
    const sectionOf = (line) => text.slice(0, line).findLast((one) => one.startsWith('## '))?.slice('## '.length);
    const unused = [...this.#used].filter(([, { count }]) => count === 0);
    const found = unused.map(([offset, { name }]) => ({ line: lineOf(offset), name }));
    const asked = found.filter(({ line }) => isAsked(sectionOf(line)));
    return asked.map(({ line, name }) => `${this.#document}:${line} ${name}`.trim());
  }

  /** How many functions are known. */
  get size() {
    return this.#used.size;
  }
}

/** Each line of the module is the document's line of the same number, so that a stack trace names it. */
function moduleOf(text, yours, replaced) {
  let inside = false;
  const imports = [];
  const lines = text.split('\n').map((line) => {
    if (line.trimEnd() === OPENING || (inside && line === CLOSING)) {
      inside = !inside;
      return '';
    }
    if (!inside) return '';
    if (line.startsWith('import ')) imports.push(line);
    return line.startsWith('import ') ? '' : line;
  });
  let code = lines.join('\n');
  for (const [literal, expression] of Object.entries(replaced)) {
    if (!code.includes(literal)) throw new Error(`the document says nowhere ${literal}`);
    code = code.replaceAll(literal, expression);
  }
  const names = [...code.matchAll(/^(?:async )?(?:function|const|let|class) (\w+)/gm)].map(([, name]) => name);
  const head = `${imports.join(' ')} export default function start(yours) { const { ${yours.join(', ')} } = yours;`;
  return `${head}${code}\nreturn { ${names.join(', ')} };\n}\n`;
}

/** V8's count of calls in this process. */
export class Profile {
  #session = new Session();

  async start() {
    this.#session.connect();
    await this.#session.post('Profiler.enable');
    await this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
  }

  async stop() {
    const { result } = await this.#session.post('Profiler.takePreciseCoverage');
    this.#session.disconnect();
    return result;
  }
}

// A reporter of node:test that says how long each file took: a line of seconds and file, the longest first.
import { relative } from 'node:path';

/** Events of a suite or test that stands at the top of its file have this nesting. */
const TOP = 0;

export default async function* seconds(events) {
  const took = new Map();
  for await (const { type, data } of events) {
    if ((type === 'test:pass' || type === 'test:fail') && data.nesting === TOP && data.file) {
      took.set(data.file, (took.get(data.file) ?? 0) + data.details.duration_ms);
    }
  }
  const longest = [...took].sort(([, one], [, other]) => other - one);
  for (const [file, ms] of longest) yield `${Math.round(ms / 1_000)} ${relative('.', file)}\n`;
}

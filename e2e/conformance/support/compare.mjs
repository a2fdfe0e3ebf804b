// Runs a case against both servers and holds what they answer against each other, and against the table.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { DIFFERENCES } from '../differences.mjs';
import { withoutIds } from './http.mjs';
import { startPair } from './servers.mjs';

const CASE_LIMIT_MS = 20_000;

/**
 * Tests that both servers give the same answers, a list of strings, in each case: `cases` maps names to functions
 * of a server. Where the table of differences has an entry under `area` and the name, both have to do exactly
 * what it says. `options` are for the servers; with `atOnce` the cases do not wait for one another.
 */
export function compare(area, suite, cases, options = {}) {
  const listed = DIFFERENCES[area] ?? {};
  describe(area, { concurrency: options.atOnce ?? false }, () => {
    let pair;
    before(async () => {
      pair = await startPair(suite, options);
    });
    after(() => pair?.stop());

    for (const [name, run] of Object.entries(cases)) {
      test(name, { timeout: CASE_LIMIT_MS }, async () => {
        const [reference, ours] = await Promise.all([pair.reference, pair.ours].map(run));
        judge({ reference: reference.map(withoutIds), ours: ours.map(withoutIds) }, listed[name]);
      });
    }

    test('each difference that is listed has its case', () => {
      assert.deepEqual(
        Object.keys(listed).filter((name) => !(name in cases)),
        [],
      );
    });
  });
}

function judge({ reference, ours }, listed) {
  if (!listed) return assert.deepEqual(ours, reference, 'ours (actual) does what the reference (expected) does not');
  assert.notDeepEqual(ours, reference, 'a difference is listed that is none any more');
  const expected = { reference: listed.reference, ours: listed.ours };
  assert.deepEqual({ reference, ours }, expected, 'this is not the difference that is listed');
}

/** The cases that `run` makes of each entry. */
export function each(entries, run) {
  return Object.fromEntries(Object.entries(entries).map(([name, entry]) => [name, run(entry)]));
}

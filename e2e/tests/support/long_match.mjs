// A chat with a history.
import { newMatch } from './people.mjs';
import { sql } from './raw.mjs';

/** A match that has had so many messages. */
export async function longMatch(stack, count, body = 'hello') {
  const match = await newMatch(stack);
  await sql(
    stack,
    `INSERT INTO messages (match_id, seq, sender_id, client_id, by_rest, body, created_at)
     SELECT '${match.id}', n, '${match.bob}', 'c' || n, false, '"${body}"', now()
     FROM generate_series(1, ${count}) AS n;
     UPDATE matches SET last_seq = ${count} WHERE match_id = '${match.id}'`,
  );
  return match;
}

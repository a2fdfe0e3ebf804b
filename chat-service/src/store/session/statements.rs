//! The statements of a lane, prepared once for each connection.

use tokio_postgres::{Client, Error, Statement};

use crate::store::{changes, messages};

const ADVANCE: &str = "UPDATE matches m SET last_seq = m.last_seq + v.n
     FROM unnest($1::text[], $2::bigint[]) AS v (match_id, n)
     WHERE m.match_id = v.match_id AND m.closed_at IS NULL
     RETURNING m.match_id, m.last_seq - v.n, m.rev, false, date_trunc('milliseconds', clock_timestamp()),
               m.members_rev";

const LOCK: &str = "SELECT match_id, last_seq, rev, closed_at IS NOT NULL,
            date_trunc('milliseconds', clock_timestamp()), members_rev
     FROM matches WHERE match_id = ANY ($1) ORDER BY match_id FOR UPDATE";

/// The members of matches of which another version is known.
const FIND_CHANGED: &str =
    "SELECT m.members_rev, ARRAY (SELECT user_id FROM members u WHERE u.match_id = m.match_id), m.match_id
     FROM unnest($1::text[], $2::bigint[]) AS k (match_id, version) JOIN matches m USING (match_id)
     WHERE m.members_rev <> k.version";

/// Behind [`messages::SELECT_WHOLE`].
const BY_CLIENT_ID: &str = "FROM unnest($1::text[], $2::text[], $3::text[]) AS k (match_id, sender_id, client_id)
     JOIN messages m USING (match_id, sender_id, client_id)";

/// The same.
const BY_SEQ: &str = "FROM unnest($1::text[], $2::bigint[]) AS k (match_id, seq) JOIN messages m USING (match_id, seq)";

/// A command that has changed something names the change, which tells where that stands.
const FIND_COMMANDS: &str = "SELECT c.match_id, c.user_id, c.client_id, c.content, c.rev, g.after_seq, g.created_at
     FROM unnest($1::text[], $2::text[], $3::text[]) AS k (match_id, user_id, client_id)
     JOIN commands c USING (match_id, user_id, client_id)
     LEFT JOIN changes g ON c.has_changed AND g.match_id = c.match_id AND g.rev = c.rev";

/// Those among the members who have hidden messages: by member, as the table's key wants it.
const FIND_HIDDEN: &str = "SELECT h.match_id, h.seq, h.user_id
     FROM unnest($1::text[], $2::bigint[]) AS k (match_id, seq) JOIN members u USING (match_id)
     JOIN hidden h ON h.match_id = u.match_id AND h.user_id = u.user_id AND h.seq = k.seq";

/// Behind [`changes::SELECT`].
const OF_CLOSINGS: &str = "WHERE c.match_id = ANY ($1) AND c.kind = 'closing'";

/// The last of each match, behind [`changes::SELECT`].
const OF_MEMBERSHIPS: &str =
    "JOIN matches m ON m.match_id = c.match_id AND m.members_rev = c.rev WHERE m.match_id = ANY ($1)";

const FIND_MILESTONES: &str = "SELECT match_id, milestone_id, rev, seq, unlocks, reached_at, after_seq
     FROM unnest($1::text[], $2::text[]) AS k (match_id, milestone_id)
     JOIN milestones USING (match_id, milestone_id)";

const SET_HEADS: &str = "UPDATE matches m SET last_seq = v.last_seq, rev = v.rev,
            closed_at = CASE WHEN v.closed THEN coalesce(m.closed_at, v.at) END, members_rev = v.members_rev
     FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::boolean[], $5::timestamptz[], $6::bigint[])
         AS v (match_id, last_seq, rev, closed, at, members_rev)
     WHERE m.match_id = v.match_id";

const INSERT: &str =
    "INSERT INTO messages (match_id, seq, sender_id, client_id, origin, body, created_at, by_rest, reply_to)
     SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::timestamptz[],
                          $8::boolean[], $9::bigint[])";

/// What messages have become. The first edit or deletion of one leaves the digest of what was sent.
const UPDATE: &str = "UPDATE messages m
     SET body = v.body, edits = v.edits, edited_at = v.edited_at, reactions = v.reactions, original = v.original,
         deleted_at = CASE WHEN v.is_deleted THEN coalesce(m.deleted_at, clock_timestamp()) END
     FROM unnest($1::text[], $2::bigint[], $3::text[], $4::smallint[], $5::timestamptz[], $6::text[], $7::bytea[],
                 $8::boolean[]) AS v (match_id, seq, body, edits, edited_at, reactions, original, is_deleted)
     WHERE m.match_id = v.match_id AND m.seq = v.seq";

const KEEP_VERSIONS: &str = "INSERT INTO versions (match_id, seq, rev, body, replaced_at)
     SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::timestamptz[])";

const NOTE_COMMANDS: &str = "INSERT INTO commands (match_id, user_id, client_id, content, rev, has_changed)
     SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::bigint[], $6::boolean[])";

/// The log, and from it the milestones. What a closing leads to is in the match's row.
const APPEND: &str = "WITH logged AS (
         INSERT INTO changes (match_id, rev, kind, seq, after_seq, body, created_at, actor)
         SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::text[],
                              $7::timestamptz[], $8::text[])
         RETURNING match_id, rev, kind, seq, after_seq, body::json AS body, created_at
     )
     INSERT INTO milestones (match_id, milestone_id, rev, seq, unlocks, reached_at, after_seq)
     SELECT match_id, body ->> 'milestoneId', rev, seq, ARRAY (SELECT json_array_elements_text(body -> 'unlocks')),
            created_at, after_seq
     FROM logged WHERE kind = 'milestone'";

/// Makes users members of matches, or ends that: by match and user, whether the user is a member from now on. Who comes
/// has read what was there before.
const SET_MEMBERS: &str = "WITH set AS MATERIALIZED (
         SELECT * FROM unnest($1::text[], $2::text[], $3::boolean[]) AS v (match_id, user_id, is_member)
     ), gone AS (
         DELETE FROM members m USING set v
         WHERE m.match_id = v.match_id AND m.user_id = v.user_id AND NOT v.is_member
     ), gone_by_user AS (
         DELETE FROM user_matches m USING set v
         WHERE m.match_id = v.match_id AND m.user_id = v.user_id AND NOT v.is_member
     ), come AS (
         INSERT INTO members (match_id, user_id) SELECT match_id, user_id FROM set WHERE is_member
         ON CONFLICT DO NOTHING
     ), placed AS (
         INSERT INTO positions AS p (match_id, user_id, read_seq, delivered_seq)
         SELECT v.match_id, v.user_id, m.last_seq, m.last_seq FROM set v JOIN matches m USING (match_id)
         WHERE v.is_member
         ON CONFLICT (match_id, user_id) DO UPDATE SET read_seq = greatest(p.read_seq, excluded.read_seq),
             delivered_seq = greatest(p.delivered_seq, excluded.delivered_seq)
     )
     INSERT INTO user_matches (match_id, user_id) SELECT match_id, user_id FROM set WHERE is_member
     ON CONFLICT DO NOTHING";

/// The statements on one connection. `advance` and `lock` return the same columns.
#[derive(Debug)]
pub(super) struct Statements {
    pub(super) advance: Statement,
    pub(super) lock: Statement,
    pub(super) find_changed: Statement,
    pub(super) find_by_client_id: Statement,
    pub(super) find_by_seq: Statement,
    pub(super) find_commands: Statement,
    pub(super) find_closings: Statement,
    pub(super) find_memberships: Statement,
    pub(super) find_milestones: Statement,
    pub(super) find_hidden: Statement,
    pub(super) set_heads: Statement,
    pub(super) insert: Statement,
    pub(super) update: Statement,
    pub(super) keep_versions: Statement,
    pub(super) note_commands: Statement,
    pub(super) append: Statement,
    pub(super) set_members: Statement,
}

impl Statements {
    /// Prepares all of them.
    pub(super) async fn prepare(client: &Client) -> Result<Self, Error> {
        Ok(Self {
            advance: client.prepare(ADVANCE).await?,
            lock: client.prepare(LOCK).await?,
            find_changed: client.prepare(FIND_CHANGED).await?,
            find_by_client_id: client.prepare(&format!("{} {BY_CLIENT_ID}", messages::SELECT_WHOLE)).await?,
            find_by_seq: client.prepare(&format!("{} {BY_SEQ}", messages::SELECT_WHOLE)).await?,
            find_commands: client.prepare(FIND_COMMANDS).await?,
            find_closings: client.prepare(&format!("{} {OF_CLOSINGS}", changes::SELECT)).await?,
            find_memberships: client.prepare(&format!("{} {OF_MEMBERSHIPS}", changes::SELECT)).await?,
            find_milestones: client.prepare(FIND_MILESTONES).await?,
            find_hidden: client.prepare(FIND_HIDDEN).await?,
            set_heads: client.prepare(SET_HEADS).await?,
            insert: client.prepare(INSERT).await?,
            update: client.prepare(UPDATE).await?,
            keep_versions: client.prepare(KEEP_VERSIONS).await?,
            note_commands: client.prepare(NOTE_COMMANDS).await?,
            append: client.prepare(APPEND).await?,
            set_members: client.prepare(SET_MEMBERS).await?,
        })
    }
}

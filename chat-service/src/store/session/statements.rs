//! The statements of a lane, prepared once for each connection.

use tokio_postgres::{Client, Error, Statement};

use crate::store::{changes, members, messages};

const ADVANCE: &str = "UPDATE matches m SET last_seq = m.last_seq + v.n
     FROM unnest($1::text[], $2::bigint[]) AS v (match_id, n)
     WHERE m.match_id = v.match_id AND m.closed_at IS NULL
     RETURNING m.match_id, m.last_seq - v.n, m.rev, false, date_trunc('milliseconds', clock_timestamp()),
               m.members_rev";

const LOCK: &str = "SELECT match_id, last_seq, rev, closed_at IS NOT NULL,
            date_trunc('milliseconds', clock_timestamp()), members_rev
     FROM matches WHERE match_id = ANY ($1) ORDER BY match_id FOR UPDATE";

/// The match, behind the columns of its audience, where another version of that is known.
const OF_CHANGED: &str = ", m.match_id
     FROM unnest($1::text[], $2::bigint[]) AS k (match_id, version) JOIN matches m USING (match_id)
     WHERE m.members_rev <> k.version";

/// Users who add others do so in one transaction at a time. These locks are taken behind those of matches.
const LOCK_INVITING: &str = "SELECT pg_advisory_xact_lock(hashtextextended('inviting ' || user_id, 0))
     FROM (SELECT DISTINCT user_id FROM unnest($1::text[]) AS k (user_id) ORDER BY user_id) k";

/// By match, user who adds, user who is added: whether the two share an open pair; whether the latter and a member, or
/// another one who is added along, have blocked one another; and how many the first one has added within a day.
const FIND_INVITATIONS: &str = "WITH k AS (
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) AS k (match_id, user_id, other_id)
     ), near AS (
         SELECT k.match_id, k.other_id, u.user_id FROM k JOIN members u ON u.match_id = k.match_id
         UNION SELECT k.match_id, k.other_id, l.other_id FROM k JOIN k l ON l.match_id = k.match_id
                                                                 AND l.user_id = k.user_id
     )
     SELECT k.match_id, k.user_id, k.other_id,
            EXISTS (SELECT FROM user_matches a JOIN user_matches b USING (match_id) JOIN matches m USING (match_id)
                    WHERE a.user_id = k.user_id AND b.user_id = k.other_id AND NOT m.is_group AND m.closed_at IS NULL
                      AND (SELECT count(*) FROM members c WHERE c.match_id = m.match_id) = 2),
            EXISTS (SELECT FROM near n
                    WHERE n.match_id = k.match_id AND n.other_id = k.other_id
                      AND (EXISTS (SELECT FROM blocks x WHERE x.user_id = n.user_id AND x.blocked_id = k.other_id)
                        OR EXISTS (SELECT FROM blocks x WHERE x.user_id = k.other_id AND x.blocked_id = n.user_id))),
            (SELECT count(*) FROM invitations i
             WHERE i.user_id = k.user_id AND i.created_at > clock_timestamp() - interval '1 day')
     FROM k";

const NOTE_INVITATIONS: &str = "INSERT INTO invitations (user_id, match_id, rev, invited_id, created_at)
     SELECT user_id, match_id, rev, invited_id, clock_timestamp()
     FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[]) AS k (user_id, match_id, rev, invited_id)";

const NOTE_LEFT: &str = "INSERT INTO left_groups (user_id, match_id) SELECT * FROM unnest($1::text[], $2::text[])
     ON CONFLICT DO NOTHING";

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

/// Makes users members of matches, ends that, or changes their roles: by match and user, whether the user is a member
/// from now on, and whether it becomes one now, with which role, which place, and from where on it sees the match. Who
/// comes has read what was there before.
const SET_MEMBERS: &str = "WITH set AS MATERIALIZED (
         SELECT * FROM unnest($1::text[], $2::text[], $3::boolean[], $4::boolean[], $5::smallint[], $6::bigint[],
                              $7::bigint[], $8::bigint[])
             AS v (match_id, user_id, is_member, is_new, role, place, from_seq, from_rev)
     ), gone AS (
         DELETE FROM members m USING set v
         WHERE m.match_id = v.match_id AND m.user_id = v.user_id AND NOT v.is_member
     ), gone_by_user AS (
         DELETE FROM user_matches m USING set v
         WHERE m.match_id = v.match_id AND m.user_id = v.user_id AND NOT v.is_member
     ), risen AS (
         UPDATE members m SET role = v.role FROM set v
         WHERE m.match_id = v.match_id AND m.user_id = v.user_id AND v.is_member AND NOT v.is_new
     ), come AS (
         INSERT INTO members (match_id, user_id, role, place, from_seq, from_rev)
         SELECT match_id, user_id, role, place, from_seq, from_rev FROM set WHERE is_new
         ON CONFLICT (match_id, user_id) DO UPDATE SET role = excluded.role, place = excluded.place,
             from_seq = excluded.from_seq, from_rev = excluded.from_rev
     ), placed AS (
         INSERT INTO positions AS p (match_id, user_id, read_seq, delivered_seq)
         SELECT v.match_id, v.user_id, m.last_seq, m.last_seq FROM set v JOIN matches m USING (match_id)
         WHERE v.is_new
         ON CONFLICT (match_id, user_id) DO UPDATE SET read_seq = greatest(p.read_seq, excluded.read_seq),
             delivered_seq = greatest(p.delivered_seq, excluded.delivered_seq)
     )
     INSERT INTO user_matches (match_id, user_id, from_seq, from_rev)
     SELECT match_id, user_id, from_seq, from_rev FROM set WHERE is_new
     ON CONFLICT (user_id, match_id) DO UPDATE SET from_seq = excluded.from_seq, from_rev = excluded.from_rev";

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
    pub(super) lock_inviting: Statement,
    pub(super) find_invitations: Statement,
    pub(super) note_invitations: Statement,
    pub(super) note_left: Statement,
}

impl Statements {
    /// Prepares all of them.
    pub(super) async fn prepare(client: &Client) -> Result<Self, Error> {
        Ok(Self {
            advance: client.prepare(ADVANCE).await?,
            lock: client.prepare(LOCK).await?,
            find_changed: client.prepare(&format!("{} {OF_CHANGED}", members::SELECT)).await?,
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
            lock_inviting: client.prepare(LOCK_INVITING).await?,
            find_invitations: client.prepare(FIND_INVITATIONS).await?,
            note_invitations: client.prepare(NOTE_INVITATIONS).await?,
            note_left: client.prepare(NOTE_LEFT).await?,
        })
    }
}

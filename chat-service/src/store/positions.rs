//! How far members have read and received matches, and with whom they share that.

use proto::{
    UserId,
    chat::{Position, Receipts},
};
use tokio_postgres::{Error, Row};

use super::{Store, StoreError, blocks::are_not_blocked, members::users, time::to_ms};
use crate::mark::Mark;

/// In larger matches nobody is told how far the others have come.
const MAX_SHARING: i64 = 100;

/// How many messages lie behind what `p` has read in `m` and behind the own last one, which is looked for among the
/// newest thousand: who has left more unanswered has them unread.
const UNREAD: &str = "m.last_seq - coalesce(
        (SELECT max(s.seq) FROM (
             SELECT o.seq, o.sender_id FROM messages o WHERE o.match_id = m.match_id AND o.seq > p.read_seq
             ORDER BY o.seq DESC LIMIT 1000) s
         WHERE s.sender_id = p.user_id), p.read_seq)";

/// Whether the user in this expression shares how far it has come.
fn shares(user: &str) -> String {
    format!("coalesce((SELECT g.receipts FROM settings g WHERE g.user_id = {user}), true)")
}

/// A position after a mark, and who is to be told of it.
#[derive(Debug)]
pub(crate) struct Marked {
    pub(crate) position: Position,
    /// Whether the mark has moved it.
    pub(crate) has_moved: bool,
    /// The other members who may see it.
    pub(crate) others: Vec<UserId>,
}

impl Store {
    /// Takes the marks, one for each (match, user) at most. Returns what each has come to, by its place; nothing for a
    /// user who is no member.
    pub(crate) async fn mark(&self, marks: &[Mark]) -> Result<Vec<Option<Marked>>, StoreError> {
        let mut columns = Columns::default();
        marks.iter().enumerate().for_each(|(place, mark)| columns.add(place, mark));
        let client = self.client().await?;
        let statement = client.prepare_cached(&statement()).await?;
        let Columns { places, ids, users, seqs, read } = &columns;
        let rows = client.query(&statement, &[places, ids, users, seqs, read]).await?;
        let mut marked: Vec<Option<Marked>> = marks.iter().map(|_| None).collect();
        for row in &rows {
            let place = usize::try_from(row.try_get::<_, i32>(0)?).unwrap_or(usize::MAX);
            if let Some(slot) = marked.get_mut(place) {
                *slot = Some(of_row(row)?);
            }
        }
        Ok(marked)
    }

    /// How far a member and the others have come in these matches; those of which the user is none are left out.
    pub(crate) async fn receipts(&self, user: &UserId, ids: &[&str]) -> Result<Vec<Receipts>, StoreError> {
        let client = self.client().await?;
        let statement = client.prepare_cached(&select_receipts()).await?;
        let rows = client.query(&statement, &[&ids, &user.as_str()]).await?;
        Ok(receipts(&rows)?)
    }
}

/// Whether a user, in a statement in which two users and a match `m` are called so, sees the position of another one
/// while the match is open.
pub(super) fn sees(one: &str, other: &str) -> String {
    let (mine, theirs, apart) = (shares(one), shares(other), are_not_blocked(one, other));
    format!(
        "{mine} AND {theirs} AND {apart}
         AND (SELECT count(*) FROM members c WHERE c.match_id = m.match_id) <= {MAX_SHARING}"
    )
}

/// The positions of members that a user may see, with parameters (matches, user): match by match, the user's own first.
pub(super) fn select_receipts() -> String {
    let sees = sees("$2", "u.user_id");
    format!(
        "SELECT p.user_id, p.read_seq, p.delivered_seq, p.at, m.last_seq,
                CASE WHEN p.user_id = $2 THEN {UNREAD} ELSE 0 END, m.match_id
         FROM matches m JOIN user_matches o ON o.match_id = m.match_id AND o.user_id = $2
         CROSS JOIN LATERAL (
             SELECT u.user_id, coalesce(q.read_seq, 0) AS read_seq, coalesce(q.delivered_seq, 0) AS delivered_seq, q.at
             FROM members u LEFT JOIN positions q USING (match_id, user_id)
             WHERE u.match_id = m.match_id AND (u.user_id = $2 OR m.closed_at IS NULL AND {sees})
         ) p
         WHERE m.match_id = ANY ($1) ORDER BY m.match_id, p.user_id <> $2, p.user_id"
    )
}

/// What marks come to. A mark that lies beyond the head moves nothing.
fn statement() -> String {
    let (mine, theirs) = (shares("p.user_id"), shares("u.user_id"));
    let apart = are_not_blocked("p.user_id", "u.user_id");
    format!(
        "WITH judged AS MATERIALIZED (
             SELECT k.place, k.match_id, k.user_id, m.last_seq, m.closed_at IS NULL AS is_open,
                    coalesce(max(k.seq) FILTER (WHERE k.is_read AND k.seq <= m.last_seq), 0) AS read_seq,
                    coalesce(max(k.seq) FILTER (WHERE k.seq <= m.last_seq), 0) AS delivered_seq
             FROM unnest($1::integer[], $2::text[], $3::text[], $4::bigint[], $5::boolean[])
                 AS k (place, match_id, user_id, seq, is_read)
             JOIN user_matches o USING (match_id, user_id) JOIN matches m USING (match_id)
             GROUP BY k.place, k.match_id, k.user_id, m.last_seq, m.closed_at
         ), moved AS (
             INSERT INTO positions AS p (match_id, user_id, read_seq, delivered_seq, at)
             SELECT match_id, user_id, read_seq, delivered_seq, date_trunc('milliseconds', clock_timestamp())
             FROM judged WHERE delivered_seq > 0 ORDER BY match_id, user_id
             ON CONFLICT (match_id, user_id) DO UPDATE
             SET read_seq = greatest(p.read_seq, excluded.read_seq),
                 delivered_seq = greatest(p.delivered_seq, excluded.delivered_seq), at = excluded.at
             WHERE p.read_seq < excluded.read_seq OR p.delivered_seq < excluded.delivered_seq
             RETURNING match_id, user_id, read_seq, delivered_seq, at
         )
         SELECT j.place, p.user_id, p.read_seq, p.delivered_seq, p.at, m.last_seq, {UNREAD}, p.has_moved,
                CASE WHEN p.has_moved AND j.is_open AND {mine}
                          AND (SELECT count(*) FROM members c WHERE c.match_id = m.match_id) <= {MAX_SHARING}
                     THEN ARRAY (
                    SELECT u.user_id FROM members u
                    WHERE u.match_id = m.match_id AND u.user_id <> p.user_id AND {theirs} AND {apart}
                ) ELSE ARRAY[]::text[] END
         FROM judged j
         CROSS JOIN LATERAL (SELECT j.match_id, j.last_seq) m
         LEFT JOIN moved n ON n.match_id = j.match_id AND n.user_id = j.user_id
         LEFT JOIN positions q ON q.match_id = j.match_id AND q.user_id = j.user_id
         CROSS JOIN LATERAL (SELECT j.user_id, coalesce(n.read_seq, q.read_seq, 0) AS read_seq,
                                    coalesce(n.delivered_seq, q.delivered_seq, 0) AS delivered_seq,
                                    coalesce(n.at, q.at) AS at, n.user_id IS NOT NULL AS has_moved) p"
    )
}

/// Marks as columns, one row for each seq.
#[derive(Default)]
struct Columns<'a> {
    places: Vec<i32>,
    ids: Vec<&'a str>,
    users: Vec<&'a str>,
    seqs: Vec<i64>,
    read: Vec<bool>,
}

impl<'a> Columns<'a> {
    fn add(&mut self, place: usize, mark: &'a Mark) {
        let seqs = [(&mark.read, true), (&mark.delivered, false)];
        let seqs = seqs.into_iter().flat_map(|(seqs, is_read)| seqs.iter().map(move |seq| (*seq, is_read)));
        // One row in any case, so that a mark of nothing is answered.
        for (seq, is_read) in seqs.chain([(0, false)]) {
            self.places.push(i32::try_from(place).unwrap_or(i32::MAX));
            self.ids.push(mark.match_id.as_str());
            self.users.push(mark.user.as_str());
            self.seqs.push(seq);
            self.read.push(is_read);
        }
    }
}

fn of_row(row: &Row) -> Result<Marked, Error> {
    Ok(Marked { position: position(row, 1)?, has_moved: row.try_get(7)?, others: users(row, 8)? })
}

/// From the rows of [`select_receipts`].
pub(super) fn receipts(rows: &[Row]) -> Result<Vec<Receipts>, Error> {
    let mut receipts: Vec<Receipts> = Vec::new();
    for row in rows {
        let (position, match_id): (_, &str) = (position(row, 0)?, row.try_get(6)?);
        if let Some(last) = receipts.last_mut().filter(|last| last.match_id == match_id) {
            last.others.push(position);
        } else {
            receipts.push(Receipts { match_id: match_id.to_owned(), me: Some(position), others: Vec::new() });
        }
    }
    Ok(receipts)
}

/// The position in six columns from here on.
fn position(row: &Row, at: usize) -> Result<Position, Error> {
    Ok(Position {
        user_id: row.try_get(at)?,
        read_seq: row.try_get(at + 1)?,
        delivered_seq: row.try_get(at + 2)?,
        at_ms: row.try_get::<_, Option<_>>(at + 3)?.map(to_ms),
        last_seq: row.try_get(at + 4)?,
        unread: row.try_get(at + 5)?,
    })
}

//! What is erased of a user in one match, in transactions that take a moment each.

use std::time::Duration;

use deadpool_postgres::Transaction;
use proto::{MatchId, UserId};
use tokio_postgres::{Error, Row, types::ToSql};

use super::{Store, StoreError, changes::Columns, erasures::add, reactions, time::to_ms};
use crate::{
    erased::{Erased, Suspect},
    erasure_step::Step,
    news::Logged,
    room::Head,
};

/// Seqs that one transaction looks at. It holds the match's row meanwhile, which messages wait for in a group.
const WINDOW: i64 = 500;
/// Most rows of each other kind that one transaction erases.
const ROWS: i64 = 1_000;

/// A match that is left of an erasure.
const NEXT: &str = "SELECT l.match_id, l.through_seq, l.done_seq, m.closed_at IS NULL,
            EXISTS (SELECT FROM user_matches o WHERE o.user_id = $1 AND o.match_id = l.match_id),
            (SELECT count(*) FROM members c WHERE c.match_id = l.match_id) > CASE WHEN m.is_group THEN 1 ELSE 2 END,
            EXISTS (SELECT FROM changes g WHERE g.match_id = l.match_id AND g.kind = 'closing'
                    AND g.created_at >= (SELECT asked_at FROM erasures e WHERE e.user_id = $1))
     FROM erasure_matches l JOIN matches m USING (match_id)
     WHERE l.user_id = $1 ORDER BY l.match_id LIMIT 1";

const SUSPECTS: &str = "SELECT seq, sender_id = $2, deleted_at IS NOT NULL, reactions FROM messages
     WHERE match_id = $1 AND seq > $3 AND seq <= $4 AND (sender_id = $2 OR reactions IS NOT NULL) ORDER BY seq";

const ERASE: &str = "UPDATE messages SET body = '', edited_at = NULL, reactions = NULL, original = NULL,
         deleted_at = coalesce(deleted_at, clock_timestamp())
     WHERE match_id = $1 AND seq = ANY ($2)";

const SET_REACTIONS: &str = "UPDATE messages m SET reactions = v.reactions
     FROM unnest($2::bigint[], $3::text[]) AS v (seq, reactions) WHERE m.match_id = $1 AND m.seq = v.seq";

const LOG: &str = "INSERT INTO changes (match_id, rev, kind, seq, after_seq, body, created_at, actor)
     SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::text[],
                          $7::timestamptz[], $8::text[])";

/// Reports that are kept: they are the user's, or hold contents of the user's messages.
const KEPT: &str = "INSERT INTO erasure_reports (user_id, report_id)
     SELECT $1, r.report_id FROM reports r
     WHERE r.match_id = $2 AND (r.user_id = $1 OR EXISTS (
         SELECT FROM evidence v WHERE v.report_id = r.report_id AND v.sender_id = $1))
     ON CONFLICT DO NOTHING";

/// A match that is left of an erasure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ErasureMatch {
    pub(crate) match_id: MatchId,
    pub(crate) part: Left,
    pub(crate) parting: Parting,
}

/// How the user parts from a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parting {
    /// By leaving it: it goes on without the user.
    Leave,
    /// By its end. It may be closed already, without its members knowing of that yet.
    Close,
    /// It is done.
    Done,
}

impl Parting {
    /// From what is true of the match now, and whether it was closed after the erasure was asked for.
    fn of((is_open, was_closed): (bool, bool), (is_member, goes_on): (bool, bool)) -> Self {
        match (is_member, is_open, goes_on) {
            (true, true, true) => Self::Leave,
            (true, true, false) => Self::Close,
            (true, false, _) if was_closed => Self::Close,
            _ => Self::Done,
        }
    }
}

/// What is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// The user still has a part in it.
    Part,
    /// Messages behind the first of these seqs, up to the second.
    Messages(i64, i64),
    /// Everything else.
    Rest,
}

impl Store {
    /// A match that is left of the erasure of a user.
    pub(crate) async fn next_erasure_match(&self, user: &UserId) -> Result<Option<ErasureMatch>, StoreError> {
        let client = self.client().await?;
        let row = client.query_opt(NEXT, &[&user.as_str()]).await?;
        Ok(row.map(|row| of_row(&row)).transpose()?.flatten())
    }

    /// Notes that the user has no part in the match any more.
    pub(crate) async fn note_parted(&self, user: &UserId, id: &MatchId) -> Result<(), StoreError> {
        let client = self.client().await?;
        let sql = "UPDATE erasure_matches l SET through_seq = m.last_seq FROM matches m
                   WHERE l.user_id = $1 AND l.match_id = $2 AND m.match_id = l.match_id";
        client.execute(sql, &[&user.as_str(), &id.as_str()]).await?;
        Ok(())
    }

    /// Erases what the user has said in the next messages between two seqs, and how the user has reacted to them.
    pub(crate) async fn erase_messages(
        &self,
        (user, id): (&UserId, &MatchId),
        (after, through): (i64, i64),
        lease: Duration,
    ) -> Result<(), StoreError> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await?;
        let lock = "SELECT last_seq, rev, closed_at IS NOT NULL, date_trunc('milliseconds', clock_timestamp()),
                           members_rev
                    FROM matches WHERE match_id = $1 FOR UPDATE";
        let head = head(&transaction.query_one(lock, &[&id.as_str()]).await?)?;
        let until = after.saturating_add(WINDOW).min(through);
        let suspects = transaction.query(SUSPECTS, &[&id.as_str(), &user.as_str(), &after, &until]).await?;
        let suspects = suspects.iter().map(suspect).collect::<Result<Vec<_>, _>>()?;
        let erased = Erased::of(user, &head, suspects);
        let versions = write(&transaction, id, &erased).await?;
        let done = "UPDATE erasure_matches SET done_seq = $3 WHERE user_id = $1 AND match_id = $2";
        transaction.execute(done, &[&user.as_str(), &id.as_str(), &until]).await?;
        let (messages, reactions) = (count(erased.messages()), count(erased.reacted.len()));
        let counts = [(Step::Messages, messages), (Step::Versions, versions), (Step::Reactions, reactions)];
        advance(&transaction, user, &counts, lease).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Erases what else there is of the user in the match, or a part of it; then the match is done.
    pub(crate) async fn erase_rest(&self, (user, id): (&UserId, &MatchId), lease: Duration) -> Result<(), StoreError> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await?;
        let of = [&user.as_str() as &(dyn ToSql + Sync), &id.as_str()];
        let mut counts = Vec::new();
        for (step, table, key) in [(Step::Hidden, "hidden", "seq"), (Step::Commands, "commands", "client_id")] {
            let sql = format!(
                "DELETE FROM {table} WHERE user_id = $1 AND match_id = $2 AND {key} IN (
                     SELECT {key} FROM {table} WHERE user_id = $1 AND match_id = $2 ORDER BY {key} LIMIT {ROWS})"
            );
            counts.push((step, transaction.execute(&sql, &of).await?));
        }
        let is_last = counts.iter().all(|(_, erased)| *erased < count_of(ROWS));
        if is_last {
            let positions = "DELETE FROM positions WHERE user_id = $1 AND match_id = $2";
            counts.push((Step::Positions, transaction.execute(positions, &of).await?));
            counts.push((Step::Matches, forget_match(&transaction, &of).await?));
        }
        advance(&transaction, user, &counts, lease).await?;
        transaction.commit().await?;
        Ok(())
    }
}

/// Notes what is kept of the match, and that the rest is gone. The other members still see who it was. Should the id
/// appear again, whoever has it then does not find the match, nor that somebody has left it.
async fn forget_match(transaction: &Transaction<'_>, of: &[&(dyn ToSql + Sync)]) -> Result<u64, Error> {
    transaction.execute(KEPT, of).await?;
    for table in ["user_matches", "departures", "left_groups", "invitations"] {
        transaction.execute(&format!("DELETE FROM {table} WHERE user_id = $1 AND match_id = $2"), of).await?;
    }
    transaction.execute("DELETE FROM erasure_matches WHERE user_id = $1 AND match_id = $2", of).await
}

/// Returns how many earlier contents are gone.
async fn write(transaction: &Transaction<'_>, id: &MatchId, erased: &Erased) -> Result<u64, Error> {
    let id_text = id.as_str();
    transaction.execute(ERASE, &[&id_text, &erased.own]).await?;
    let versions = "DELETE FROM versions WHERE match_id = $1 AND seq = ANY ($2)";
    let versions = transaction.execute(versions, &[&id_text, &erased.own]).await?;
    let Some(last) = erased.changes.last() else { return Ok(versions) };
    let (seqs, left): (Vec<i64>, Vec<Option<String>>) =
        erased.reacted.iter().map(|(seq, left)| (*seq, reactions::to_json(left))).unzip();
    transaction.execute(SET_REACTIONS, &[&id_text, &seqs, &left]).await?;
    let logged = erased.changes.iter().map(|change| Logged { match_id: id.clone(), change: change.clone() });
    let logged: Vec<Logged> = logged.collect();
    transaction.execute(LOG, &Columns::of(&logged).parameters()).await?;
    transaction.execute("UPDATE matches SET rev = $2 WHERE match_id = $1", &[&id_text, &last.rev]).await?;
    Ok(versions)
}

/// Adds to what was erased, and keeps the erasure with this replica.
async fn advance(
    transaction: &Transaction<'_>,
    user: &UserId,
    counts: &[(Step, u64)],
    lease: Duration,
) -> Result<(), Error> {
    add(transaction, user, counts).await?;
    let sql = "UPDATE erasures SET due_at = clock_timestamp() + make_interval(secs => $2), failures = 0
               WHERE user_id = $1";
    transaction.execute(sql, &[&user.as_str(), &lease.as_secs_f64()]).await?;
    Ok(())
}

fn of_row(row: &Row) -> Result<Option<ErasureMatch>, Error> {
    let (through, done): (Option<i64>, i64) = (row.try_get(1)?, row.try_get(2)?);
    let part = match through {
        None => Left::Part,
        Some(through) if done < through => Left::Messages(done, through),
        Some(_) => Left::Rest,
    };
    let parting = Parting::of((row.try_get(3)?, row.try_get(6)?), (row.try_get(4)?, row.try_get(5)?));
    let found = |match_id| ErasureMatch { match_id, part, parting };
    Ok(MatchId::new(row.try_get::<_, &str>(0)?).ok().map(found))
}

fn head(row: &Row) -> Result<Head, Error> {
    let (last_seq, rev, closed) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(Head { last_seq, rev, closed, now_ms: to_ms(row.try_get(3)?), members_rev: row.try_get(4)? })
}

fn suspect(row: &Row) -> Result<Suspect, Error> {
    let (seq, is_own, is_deleted) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(Suspect { seq, is_own, is_deleted, reactions: reactions::of_json(row.try_get(3)?) })
}

fn count(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}

fn count_of(rows: i64) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

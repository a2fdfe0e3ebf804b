//! Whom users have blocked, and what that closes.

use deadpool_postgres::Transaction;
use proto::{
    MatchId, UserId,
    chat::{Block, Change, Closing, change::Kind},
};
use tokio_postgres::{Error, Row};

use super::{Store, StoreError, messages::one_more_than, time::to_ms};
use crate::news::Logged;

/// Most users whom one user blocks.
const MAX_BLOCKS: i64 = 5_000;

/// Whoever makes or forbids a match of two users holds this lock, so that one sees what the other has done.
const LOCK_PAIR: &str = "SELECT pg_advisory_xact_lock(hashtextextended(least($1, $2) || ' ' || greatest($1, $2), 0))";

/// The matches of two users alone. A group of two is none: others may come.
const PAIRS: &str = "SELECT a.match_id FROM user_matches a JOIN user_matches b USING (match_id)
     WHERE a.user_id = $1 AND b.user_id = $2
       AND (SELECT count(*) FROM members c WHERE c.match_id = a.match_id) = 2
       AND NOT (SELECT m.is_group FROM matches m WHERE m.match_id = a.match_id)";

/// Closes what is open of these matches, whose rows are locked. A closing takes a rev as any change.
const CLOSE: &str = "WITH closed AS (
         UPDATE matches SET rev = rev + 1, closed_at = date_trunc('milliseconds', clock_timestamp())
         WHERE match_id = ANY ($1) AND closed_at IS NULL RETURNING match_id, rev, last_seq, closed_at
     )
     INSERT INTO changes (match_id, rev, kind, after_seq, created_at)
     SELECT match_id, rev, 'closing', last_seq, closed_at FROM closed";

/// That neither of two users has blocked the other, in a statement in which these are called so.
pub(super) fn are_not_blocked(one: &str, other: &str) -> String {
    format!(
        "NOT EXISTS (SELECT FROM blocks k WHERE k.user_id = {one} AND k.blocked_id = {other})
         AND NOT EXISTS (SELECT FROM blocks k WHERE k.user_id = {other} AND k.blocked_id = {one})"
    )
}

impl Store {
    /// Blocks a user. Returns the closings that this block has made, now or before; `None` when the user has blocked
    /// too many. Of earlier ones nobody hears again: that would tell of the block.
    pub(crate) async fn put_block(&self, user: &UserId, other: &UserId) -> Result<Option<Vec<Logged>>, StoreError> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await?;
        let both: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&user.as_str(), &other.as_str()];
        transaction.execute(LOCK_PAIR, &both).await?;
        let insert = "INSERT INTO blocks (user_id, blocked_id, created_at)
                      SELECT $1, $2, date_trunc('milliseconds', clock_timestamp())
                      WHERE (SELECT count(*) FROM blocks WHERE user_id = $1) < $3
                      ON CONFLICT DO NOTHING";
        transaction.execute(insert, &[&user.as_str(), &other.as_str(), &MAX_BLOCKS]).await?;
        let is_there = "SELECT FROM blocks WHERE user_id = $1 AND blocked_id = $2";
        if transaction.query_opt(is_there, &both).await?.is_none() {
            return Ok(None);
        }
        let closings = close_pairs(&transaction, &both).await?;
        transaction.commit().await?;
        Ok(Some(closings))
    }

    /// Takes a block back.
    pub(crate) async fn delete_block(&self, user: &UserId, other: &UserId) -> Result<(), StoreError> {
        let client = self.client().await?;
        let sql = "DELETE FROM blocks WHERE user_id = $1 AND blocked_id = $2";
        client.execute(sql, &[&user.as_str(), &other.as_str()]).await?;
        Ok(())
    }

    /// At most `limit` users whom a user has blocked and whose ids come after `after`, and whether more follow.
    pub(crate) async fn list_blocks(
        &self,
        user: &UserId,
        after: &str,
        limit: usize,
    ) -> Result<(Vec<Block>, bool), StoreError> {
        let client = self.client().await?;
        let sql = "SELECT blocked_id, created_at FROM blocks WHERE user_id = $1 AND blocked_id > $2
                   ORDER BY blocked_id LIMIT $3";
        let rows = client.query(sql, &[&user.as_str(), &after, &one_more_than(limit)]).await?;
        let blocks = rows.iter().take(limit).map(of_row).collect::<Result<Vec<_>, _>>()?;
        Ok((blocks, rows.len() > limit))
    }
}

/// Whether one of the two has blocked the other, as nobody changes before the transaction is over.
pub(super) async fn is_blocked(transaction: &Transaction<'_>, one: &str, other: &str) -> Result<bool, Error> {
    transaction.execute(LOCK_PAIR, &[&one, &other]).await?;
    let sql = format!("SELECT {}", are_not_blocked("$1", "$2"));
    Ok(!transaction.query_one(&sql, &[&one, &other]).await?.try_get::<_, bool>(0)?)
}

/// The rows are locked in the order in which everybody locks them.
async fn close_pairs(
    transaction: &Transaction<'_>,
    both: &[&(dyn tokio_postgres::types::ToSql + Sync)],
) -> Result<Vec<Logged>, Error> {
    let lock = format!("SELECT match_id FROM matches WHERE match_id IN ({PAIRS}) ORDER BY match_id FOR UPDATE");
    let rows = transaction.query(&lock, both).await?;
    let ids = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<&str>, _>>()?;
    transaction.execute(CLOSE, &[&ids]).await?;
    let closings = "SELECT c.match_id, c.rev, c.after_seq, c.created_at FROM changes c
                    JOIN blocks b ON b.user_id = $2 AND b.blocked_id = $3 AND b.created_at <= c.created_at
                    WHERE c.match_id = ANY ($1) AND c.kind = 'closing' ORDER BY c.match_id";
    let rows = transaction.query(closings, &[&ids, both[0], both[1]]).await?;
    let closings = rows.iter().map(closing).collect::<Result<Vec<_>, _>>()?;
    Ok(closings.into_iter().flatten().collect())
}

fn closing(row: &Row) -> Result<Option<Logged>, Error> {
    let (rev, after_seq, created_at_ms) = (row.try_get(1)?, row.try_get(2)?, to_ms(row.try_get(3)?));
    let change = Change { rev, after_seq, created_at_ms, kind: Some(Kind::Closing(Closing {})) };
    Ok(MatchId::new(row.try_get::<_, &str>(0)?).ok().map(|match_id| Logged { match_id, change }))
}

fn of_row(row: &Row) -> Result<Block, Error> {
    Ok(Block { user_id: row.try_get(0)?, created_at_ms: to_ms(row.try_get(1)?) })
}

//! Until when users' tokens are refused.

use std::time::Duration;

use proto::{UserId, chat::Revocation};
use tokio_postgres::Row;

use super::{
    Store, StoreError,
    messages::one_more_than,
    time::{from_ms, to_ms},
};

/// A revocation may become visible this long after the time that it carries: whoever polls sees it again.
const OVERLAP_MS: i64 = 10_000;

/// A page of revocations.
#[derive(Debug)]
pub(crate) struct Revoked {
    pub(crate) page: Vec<Revocation>,
    /// The time to ask with next, when nothing follows.
    pub(crate) as_of_ms: i64,
    pub(crate) epoch: String,
    pub(crate) has_more: bool,
}

impl Store {
    /// Refuses the user's tokens issued before a Unix time in milliseconds, or before the next whole second. An earlier
    /// time than a known one changes nothing. Returns the time that counts.
    pub(crate) async fn revoke(&self, user: &UserId, not_before_ms: Option<i64>) -> Result<i64, StoreError> {
        let client = self.client().await?;
        // The repeat writes, too: its ack says that the row is on the standby.
        let sql = "INSERT INTO revocations (user_id, not_before)
                   VALUES ($1, coalesce($2, date_trunc('second', clock_timestamp() + interval '999999 microseconds')))
                   ON CONFLICT (user_id) DO UPDATE SET not_before = greatest(revocations.not_before, excluded.not_before),
                   changed_at = date_trunc('milliseconds', clock_timestamp())
                   RETURNING not_before";
        let row = client.query_one(sql, &[&user.as_str(), &not_before_ms.map(from_ms)]).await?;
        Ok(to_ms(row.try_get(0)?))
    }

    /// The revocations behind a place, by the time of their recording and user id, `limit` of them or all.
    pub(crate) async fn revocations(
        &self,
        (since_ms, after): (i64, &str),
        limit: Option<usize>,
    ) -> Result<Revoked, StoreError> {
        let client = self.client().await?;
        // All times are whole milliseconds, so that the place behind a row is exactly there. One row says the time and
        // the epoch if there is no other.
        let sql = "SELECT statement_timestamp(), user_id, not_before, changed_at, epoch
                   FROM epochs LEFT JOIN (
                       SELECT user_id, not_before, changed_at FROM revocations WHERE (changed_at, user_id) > ($1, $2)
                       ORDER BY changed_at, user_id LIMIT $3) AS page ON true
                   ORDER BY changed_at, user_id";
        let statement = client.prepare_cached(sql).await?;
        let rows = client.query(&statement, &[&from_ms(since_ms), &after, &limit.map(one_more_than)]).await?;
        let epoch = rows.first().map_or(Ok(String::new()), |row| row.try_get(4))?;
        let as_of_ms = rows.first().map_or(Ok(0), |row| row.try_get(0).map(to_ms))? - OVERLAP_MS;
        let found = rows.iter().filter_map(|row| revocation(row).transpose());
        let mut page = found.collect::<Result<Vec<_>, StoreError>>()?;
        let has_more = limit.is_some_and(|limit| page.len() > limit);
        page.truncate(limit.unwrap_or(page.len()));
        Ok(Revoked { page, as_of_ms, epoch, has_more })
    }

    /// Forgets at most `limit` revocations whose time lies further back than `kept`. Returns how many. What another
    /// replica is forgetting is left to it.
    pub(crate) async fn forget_revocations(&self, kept: Duration, limit: i64) -> Result<u64, StoreError> {
        let client = self.client().await?;
        let sql = "DELETE FROM revocations WHERE user_id IN (
                       SELECT user_id FROM revocations WHERE not_before < clock_timestamp() - make_interval(secs => $1)
                       ORDER BY not_before LIMIT $2 FOR UPDATE SKIP LOCKED)";
        Ok(client.execute(sql, &[&kept.as_secs_f64(), &limit]).await?)
    }
}

/// The revocation of a row, if it holds one.
fn revocation(row: &Row) -> Result<Option<Revocation>, StoreError> {
    let Some(user_id) = row.try_get(1)? else { return Ok(None) };
    Ok(Some(Revocation { user_id, not_before_ms: to_ms(row.try_get(2)?), changed_ms: to_ms(row.try_get(3)?) }))
}

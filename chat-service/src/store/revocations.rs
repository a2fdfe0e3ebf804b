//! Until when users' tokens are refused.

use proto::{UserId, chat::Revocation};
use tokio_postgres::Row;

use super::{
    Store, StoreError,
    messages::one_more_than,
    time::{from_ms, now_ms, to_ms},
};

/// A revocation may become visible this long after the time that it carries: whoever polls sees it again.
const OVERLAP_MS: i64 = 10_000;

/// A page of revocations.
#[derive(Debug)]
pub(crate) struct Revoked {
    pub(crate) page: Vec<Revocation>,
    /// The time to ask with next, when nothing follows.
    pub(crate) as_of_ms: i64,
    pub(crate) has_more: bool,
}

impl Store {
    /// Refuses the user's tokens issued until now; returns that time.
    pub(crate) async fn revoke(&self, user: &UserId) -> Result<i64, StoreError> {
        let client = self.client().await?;
        let sql = "INSERT INTO revocations (user_id, not_before) VALUES ($1, date_trunc('milliseconds', clock_timestamp()))
                   ON CONFLICT (user_id) DO UPDATE SET not_before = greatest(revocations.not_before, excluded.not_before)
                   RETURNING not_before";
        let row = client.query_one(sql, &[&user.as_str()]).await?;
        Ok(to_ms(row.try_get(0)?))
    }

    /// The revocations behind a place, by time and user id, `limit` of them or all.
    pub(crate) async fn revocations(
        &self,
        (since_ms, after): (i64, &str),
        limit: Option<usize>,
    ) -> Result<Revoked, StoreError> {
        let client = self.client().await?;
        // All times are whole milliseconds, so that the place behind a row is exactly there.
        let sql = "SELECT user_id, not_before FROM revocations WHERE (not_before, user_id) > ($1, $2)
                   ORDER BY not_before, user_id LIMIT $3";
        let statement = client.prepare_cached(sql).await?;
        let as_of_ms = now_ms(&client).await? - OVERLAP_MS;
        let rows = client.query(&statement, &[&from_ms(since_ms), &after, &limit.map(one_more_than)]).await?;
        let count = limit.map_or(rows.len(), |limit| limit.min(rows.len()));
        let revocation = |row: &Row| Ok(Revocation { user_id: row.try_get(0)?, not_before_ms: to_ms(row.try_get(1)?) });
        let page = rows[..count].iter().map(revocation).collect::<Result<_, StoreError>>()?;
        Ok(Revoked { page, as_of_ms, has_more: count < rows.len() })
    }
}

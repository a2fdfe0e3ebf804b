//! Until when users' tokens are refused.

use proto::{UserId, chat::Revocation};

use super::{
    Store, StoreError,
    time::{from_ms, now_ms, to_ms},
};

/// A revocation may become visible this long after the time that it carries: whoever polls sees it again.
const OVERLAP_MS: i64 = 10_000;

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

    /// The revocations recorded since a time, some perhaps again, and the time to ask with next.
    pub(crate) async fn revocations(&self, since_ms: i64) -> Result<(Vec<Revocation>, i64), StoreError> {
        let client = self.client().await?;
        let statement =
            client.prepare_cached("SELECT user_id, not_before FROM revocations WHERE not_before >= $1").await?;
        let as_of_ms = now_ms(&client).await? - OVERLAP_MS;
        let rows = client.query(&statement, &[&from_ms(since_ms)]).await?;
        let revocations =
            rows.iter().map(|row| Ok(Revocation { user_id: row.try_get(0)?, not_before_ms: to_ms(row.try_get(1)?) }));
        Ok((revocations.collect::<Result<_, StoreError>>()?, as_of_ms))
    }
}

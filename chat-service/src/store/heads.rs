//! How far matches have come.

use proto::chat::MatchHead;

use super::{Store, StoreError};

impl Store {
    /// The heads of these matches; unknown ones are left out.
    pub(crate) async fn heads(&self, ids: &[&str], with_members: bool) -> Result<Vec<MatchHead>, StoreError> {
        let client = self.client().await?;
        let sql = "SELECT match_id, last_seq, closed_at IS NOT NULL,
                          (SELECT count(*)::integer FROM milestones s WHERE s.match_id = m.match_id),
                          CASE WHEN $2 THEN (SELECT array_agg(user_id) FROM members u WHERE u.match_id = m.match_id) END
                   FROM matches m WHERE match_id = ANY ($1)";
        let statement = client.prepare_cached(sql).await?;
        let rows = client.query(&statement, &[&ids, &with_members]).await?;
        let heads = rows.iter().map(|row| {
            Ok(MatchHead {
                match_id: row.try_get(0)?,
                last_seq: row.try_get(1)?,
                closed: row.try_get(2)?,
                milestones: row.try_get(3)?,
                members: row.try_get::<_, Option<Vec<String>>>(4)?.unwrap_or_default(),
            })
        });
        heads.collect()
    }
}

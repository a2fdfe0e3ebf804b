//! How far matches have come.

use std::collections::BTreeSet;

use proto::chat::MatchHead;
use tokio_postgres::{Error, Row};

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
        Ok(rows.iter().map(of_row).collect::<Result<_, _>>()?)
    }

    /// The heads of these matches, by (user, match), with their members. Of a match that does not exist, or of which the user is
    /// no member, nothing is read but the user's own entry, which is missing.
    pub(crate) async fn heads_of_users(
        &self,
        pairs: &BTreeSet<(&str, &str)>,
    ) -> Result<Vec<(String, MatchHead)>, StoreError> {
        let (users, ids): (Vec<&str>, Vec<&str>) = pairs.iter().copied().unzip();
        let client = self.client().await?;
        let sql = "WITH own AS MATERIALIZED (
                       SELECT o.user_id, o.match_id FROM unnest($1::text[], $2::text[]) AS k (user_id, match_id)
                       JOIN user_matches o USING (user_id, match_id))
                   SELECT m.match_id, m.last_seq, m.closed_at IS NOT NULL,
                          (SELECT count(*)::integer FROM milestones s WHERE s.match_id = m.match_id),
                          (SELECT array_agg(u.user_id) FROM members u WHERE u.match_id = m.match_id), own.user_id
                   FROM own JOIN matches m USING (match_id)";
        let statement = client.prepare_cached(sql).await?;
        let rows = client.query(&statement, &[&users, &ids]).await?;
        let heads = rows.iter().map(|row| Ok::<_, Error>((row.try_get(5)?, of_row(row)?)));
        Ok(heads.collect::<Result<_, _>>()?)
    }
}

fn of_row(row: &Row) -> Result<MatchHead, Error> {
    Ok(MatchHead {
        match_id: row.try_get(0)?,
        last_seq: row.try_get(1)?,
        closed: row.try_get(2)?,
        milestones: row.try_get(3)?,
        members: row.try_get::<_, Option<Vec<String>>>(4)?.unwrap_or_default(),
    })
}

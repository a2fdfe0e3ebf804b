//! How far matches have come.

use std::collections::BTreeSet;

use proto::chat::MatchHead;
use tokio_postgres::{Error, Row};

use super::{Store, StoreError, sharing::apart};

/// Heads, and the epoch of the database that they were read from.
#[derive(Debug)]
pub(crate) struct Heads<H> {
    pub(crate) epoch: String,
    pub(crate) heads: Vec<H>,
}

impl Store {
    /// The heads of these matches; unknown ones are left out.
    pub(crate) async fn heads(&self, ids: &[&str], with_members: bool) -> Result<Heads<MatchHead>, StoreError> {
        let client = self.client().await?;
        let sql = "SELECT e.epoch, m.match_id, m.last_seq, m.closed_at IS NOT NULL, m.rev, m.members_rev,
                         CASE WHEN $2 THEN (SELECT array_agg(user_id) FROM members u WHERE u.match_id = m.match_id) END,
                         (SELECT count(*)::integer FROM milestones s WHERE s.match_id = m.match_id), m.is_group
                   FROM epochs e LEFT JOIN matches m ON m.match_id = ANY ($1)";
        let statement = client.prepare_cached(sql).await?;
        let rows = client.query(&statement, &[&ids, &with_members]).await?;
        Ok(of_rows(&rows, of_row)?)
    }

    /// The heads of these matches, by (user, match), with their members. Of a match that does not exist, or of which
    /// the user is no member, nothing is read but the user's own entry, which is missing.
    pub(crate) async fn heads_of_users(
        &self,
        pairs: &BTreeSet<(&str, &str)>,
    ) -> Result<Heads<(String, MatchHead)>, StoreError> {
        let (users, ids): (Vec<&str>, Vec<&str>) = pairs.iter().copied().unzip();
        let client = self.client().await?;
        let apart = apart("m.match_id", "own.user_id");
        let sql = format!(
            "WITH own AS MATERIALIZED (
                       SELECT o.user_id, o.match_id FROM unnest($1::text[], $2::text[]) AS k (user_id, match_id)
                       JOIN user_matches o USING (user_id, match_id))
                   SELECT e.epoch, m.match_id, m.last_seq, m.closed_at IS NOT NULL, m.rev, m.members_rev,
                          (SELECT array_agg(u.user_id) FROM members u WHERE u.match_id = m.match_id), 0,
                          m.is_group, own.user_id,
                          EXISTS (SELECT FROM settings g WHERE g.user_id = own.user_id AND NOT g.typing), {apart}
                   FROM epochs e LEFT JOIN (own JOIN matches m USING (match_id)) ON true"
        );
        let statement = client.prepare_cached(&sql).await?;
        let rows = client.query(&statement, &[&users, &ids]).await?;
        Ok(of_rows(&rows, |row| Ok((row.try_get(9)?, of_user(row)?)))?)
    }
}

/// One row is there in any case, for the epoch.
fn of_rows<H>(rows: &[Row], of_row: impl Fn(&Row) -> Result<H, Error>) -> Result<Heads<H>, Error> {
    let epoch = rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or_default();
    let mut heads = Vec::with_capacity(rows.len());
    for row in rows {
        if row.try_get::<_, Option<&str>>(1)?.is_some() {
            heads.push(of_row(row)?);
        }
    }
    Ok(Heads { epoch, heads })
}

fn of_row(row: &Row) -> Result<MatchHead, Error> {
    Ok(MatchHead {
        match_id: row.try_get(1)?,
        last_seq: row.try_get(2)?,
        closed: row.try_get(3)?,
        rev: row.try_get(4)?,
        members_rev: row.try_get(5)?,
        members: row.try_get::<_, Option<Vec<String>>>(6)?.unwrap_or_default(),
        milestones: row.try_get(7)?,
        is_group: row.try_get(8)?,
        ..MatchHead::default()
    })
}

fn of_user(row: &Row) -> Result<MatchHead, Error> {
    Ok(MatchHead { hides_typing: row.try_get(10)?, apart: row.try_get(11)?, ..of_row(row)? })
}

//! Milestones as they are recorded: read, and noted as announced.

use proto::{
    MatchId, UserId,
    chat::{Change, Milestone, change::Kind},
};
use tokio_postgres::{Error, Row};

use super::{Store, StoreError, members::users, time::to_ms};
use crate::{leftovers::MilestoneName, may::may_read, news::Logged};

/// The columns of [`of_row`].
const SELECT: &str = "SELECT match_id, milestone_id, rev, seq, unlocks, reached_at, after_seq FROM milestones";

/// The milestones of several matches, in order.
pub(super) fn select_of_matches() -> String {
    format!("{SELECT} WHERE match_id = ANY ($1) ORDER BY match_id, rev")
}

/// The milestones of one match that a user reads, with parameters (match, user).
pub(super) fn select_of_match() -> String {
    format!("{SELECT} WHERE match_id = $1 AND {} ORDER BY rev", may_read(2))
}

/// Milestones with the members of their matches: the columns of [`unannounced`].
const SELECT_WITH_MEMBERS: &str = "SELECT s.match_id, milestone_id, rev, seq, unlocks, reached_at, after_seq,
            ARRAY (SELECT user_id FROM members u WHERE u.match_id = s.match_id)
     FROM milestones s";

/// A recorded milestone that nobody has noted as announced, with those who are to be told.
#[derive(Debug)]
pub(crate) struct Unannounced {
    pub(crate) match_id: MatchId,
    pub(crate) members: Vec<UserId>,
    pub(crate) milestone: Milestone,
}

impl Unannounced {
    pub(crate) fn name(&self) -> MilestoneName {
        (self.match_id.clone(), self.milestone.milestone_id.clone())
    }
}

impl Store {
    /// At most `limit` milestones that nobody has announced yet, the oldest first.
    pub(crate) async fn unannounced(&self, limit: i64) -> Result<Vec<Unannounced>, StoreError> {
        let client = self.client().await?;
        let sql = format!("{SELECT_WITH_MEMBERS} WHERE announced_at IS NULL ORDER BY reached_at, rev LIMIT $1");
        let statement = client.prepare_cached(&sql).await?;
        let rows = client.query(&statement, &[&limit]).await?;
        Ok(rows.iter().map(unannounced).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// Notes that these were announced: each by its match and its name.
    pub(crate) async fn mark_announced(&self, told: &[MilestoneName]) -> Result<(), StoreError> {
        let ids: Vec<&str> = told.iter().map(|(match_id, _)| match_id.as_str()).collect();
        let names: Vec<&str> = told.iter().map(|(_, name)| name.as_str()).collect();
        let client = self.client().await?;
        let sql = "UPDATE milestones s SET announced_at = clock_timestamp()
                   FROM unnest($1::text[], $2::text[]) AS k (match_id, milestone_id)
                   WHERE s.match_id = k.match_id AND s.milestone_id = k.milestone_id AND announced_at IS NULL";
        let statement = client.prepare_cached(sql).await?;
        client.execute(&statement, &[&ids, &names]).await?;
        Ok(())
    }
}

fn unannounced(row: &Row) -> Result<Option<Unannounced>, Error> {
    let (id, milestone) = of_row(row)?;
    let members = users(row, 7)?;
    Ok(MatchId::new(id).ok().map(|match_id| Unannounced { match_id, members, milestone }))
}

/// A milestone as the change that has recorded it.
pub(super) fn logged(row: &Row) -> Result<Option<Logged>, Error> {
    let (id, milestone) = of_row(row)?;
    let Milestone { rev, after_seq, reached_at_ms, .. } = milestone;
    let change = Change { rev, after_seq, created_at_ms: reached_at_ms, kind: Some(Kind::Milestone(milestone)) };
    Ok(MatchId::new(id).ok().map(|match_id| Logged { match_id, change }))
}

/// A milestone and the id of its match.
pub(super) fn of_row(row: &Row) -> Result<(String, Milestone), Error> {
    let milestone = Milestone {
        milestone_id: row.try_get(1)?,
        rev: row.try_get(2)?,
        threshold: row.try_get(3)?,
        unlocks: row.try_get(4)?,
        reached_at_ms: to_ms(row.try_get(5)?),
        after_seq: row.try_get(6)?,
    };
    Ok((row.try_get(0)?, milestone))
}

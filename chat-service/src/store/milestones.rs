//! Milestones: recorded once for ever, and noted as announced.

use deadpool_postgres::Transaction;
use proto::{
    MatchId, UserId,
    chat::{Milestone, change::Kind},
};
use tokio_postgres::{Error, Row};

use super::{
    Store, StoreError,
    changes::{self, Locked},
    matches::users,
    time::to_ms,
};

/// The milestones of several matches, in order: the columns of [`of_row`].
pub(super) const SELECT_OF_MATCHES: &str = "SELECT match_id, milestone_id, rev, seq, unlocks, reached_at, after_seq
     FROM milestones WHERE match_id = ANY ($1) ORDER BY match_id, rev";

/// Milestones with the members of their matches: the columns of [`announced`].
const SELECT_WITH_MEMBERS: &str = "SELECT s.match_id, milestone_id, rev, seq, unlocks, reached_at, after_seq,
            ARRAY (SELECT user_id FROM members u WHERE u.match_id = s.match_id)
     FROM milestones s";

/// A milestone that a match has come to, as its configuration names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reached {
    pub(crate) match_id: MatchId,
    pub(crate) milestone_id: String,
    pub(crate) threshold: i64,
    pub(crate) unlocks: Vec<String>,
}

/// What became of a milestone that somebody says was reached.
#[derive(Debug)]
pub(crate) enum Recorded {
    /// The match does not exist.
    NoMatch,
    /// The match has fewer messages.
    NotReached,
    /// It stands; `new` if this call recorded it.
    Stands { new: bool, announced: Announced },
}

/// A recorded milestone of which both members are to be told.
#[derive(Debug)]
pub(crate) struct Announced {
    pub(crate) match_id: MatchId,
    pub(crate) members: Vec<UserId>,
    pub(crate) milestone: Milestone,
}

impl Store {
    /// Records the milestone once for ever, as the next of its match.
    pub(crate) async fn record_milestone(&self, reached: &Reached) -> Result<Recorded, StoreError> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await?;
        let id = reached.match_id.as_str();
        let lock = "SELECT last_seq, rev FROM matches WHERE match_id = $1 FOR UPDATE";
        let Some(row) = transaction.query_opt(lock, &[&id]).await? else {
            return Ok(Recorded::NoMatch);
        };
        let locked = Locked { last_seq: row.try_get(0)?, rev: row.try_get(1)? };
        if locked.last_seq < reached.threshold {
            return Ok(Recorded::NotReached);
        }
        let new = insert(&transaction, reached, locked).await?;
        let sql = format!("{SELECT_WITH_MEMBERS} WHERE s.match_id = $1 AND milestone_id = $2");
        let row = transaction.query_one(&sql, &[&id, &reached.milestone_id]).await?;
        let Some(announced) = announced(&row)? else { return Ok(Recorded::NoMatch) };
        if new {
            let (milestone, at_ms) = (announced.milestone.clone(), announced.milestone.reached_at_ms);
            changes::append(&transaction, &reached.match_id, locked, (&Kind::Milestone(milestone), at_ms)).await?;
        }
        transaction.commit().await?;
        Ok(Recorded::Stands { new, announced })
    }

    /// At most `limit` milestones that nobody has announced yet, the oldest first.
    pub(crate) async fn unannounced(&self, limit: i64) -> Result<Vec<Announced>, StoreError> {
        let client = self.client().await?;
        let sql = format!("{SELECT_WITH_MEMBERS} WHERE announced_at IS NULL ORDER BY reached_at, rev LIMIT $1");
        let statement = client.prepare_cached(&sql).await?;
        let rows = client.query(&statement, &[&limit]).await?;
        Ok(rows.iter().map(announced).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// Notes that these were announced.
    pub(crate) async fn mark_announced(&self, told: &[&Announced]) -> Result<(), StoreError> {
        let ids: Vec<&str> = told.iter().map(|told| told.match_id.as_str()).collect();
        let names: Vec<&str> = told.iter().map(|told| told.milestone.milestone_id.as_str()).collect();
        let client = self.client().await?;
        let sql = "UPDATE milestones s SET announced_at = clock_timestamp()
                   FROM unnest($1::text[], $2::text[]) AS k (match_id, milestone_id)
                   WHERE s.match_id = k.match_id AND s.milestone_id = k.milestone_id AND announced_at IS NULL";
        let statement = client.prepare_cached(sql).await?;
        client.execute(&statement, &[&ids, &names]).await?;
        Ok(())
    }
}

/// Whether it was not there. The match's row is locked, so its next rev is nobody else's.
async fn insert(transaction: &Transaction<'_>, reached: &Reached, locked: Locked) -> Result<bool, Error> {
    let sql = "INSERT INTO milestones (match_id, milestone_id, rev, seq, unlocks, reached_at, after_seq)
               SELECT $1, $2, $5, $3, $4,
                      coalesce((SELECT created_at FROM messages WHERE match_id = $1 AND seq = $3),
                               date_trunc('milliseconds', clock_timestamp())), $6
               ON CONFLICT (match_id, milestone_id) DO NOTHING";
    let Reached { match_id, milestone_id, threshold, unlocks } = reached;
    let Locked { last_seq, rev } = locked;
    let inserted = transaction
        .execute(sql, &[&match_id.as_str(), milestone_id, threshold, unlocks, &(rev + 1), &last_seq])
        .await?;
    Ok(inserted == 1)
}

fn announced(row: &Row) -> Result<Option<Announced>, Error> {
    let (id, milestone) = of_row(row)?;
    let members = users(row, 7)?;
    Ok(MatchId::new(id).ok().map(|match_id| Announced { match_id, members, milestone }))
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

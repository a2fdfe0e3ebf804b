//! Milestones: recorded once for ever, and claimed to be announced.

use deadpool_postgres::{Object, Transaction};
use proto::{MatchId, UserId, chat::Milestone};
use tokio_postgres::{Error, Row};

use super::{Store, StoreError, matches::users, time::to_ms};

/// The milestones of several matches, in order: the columns of [`of_row`].
pub(super) const SELECT_OF_MATCHES: &str = "SELECT match_id, milestone_id, ord, seq, unlocks, reached_at
     FROM milestones WHERE match_id = ANY ($1) ORDER BY match_id, ord";

const CLAIM: &str = "SELECT s.match_id, milestone_id, ord, seq, unlocks, reached_at,
            ARRAY (SELECT user_id FROM members u WHERE u.match_id = s.match_id)
     FROM milestones s WHERE announced_at IS NULL AND ($1::text IS NULL OR s.match_id = $1)
     ORDER BY reached_at, ord LIMIT $2 FOR UPDATE SKIP LOCKED";

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
    Stands { new: bool, milestone: Milestone },
}

/// Milestones that only this replica may announce, until the claim is settled or dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    client: Option<Object>,
    milestones: Vec<Announced>,
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
        let lock = "SELECT last_seq FROM matches WHERE match_id = $1 FOR UPDATE";
        let Some(row) = transaction.query_opt(lock, &[&id]).await? else {
            return Ok(Recorded::NoMatch);
        };
        if row.try_get::<_, i64>(0)? < reached.threshold {
            return Ok(Recorded::NotReached);
        }
        let new = insert(&transaction, reached).await?;
        let sql = "SELECT match_id, milestone_id, ord, seq, unlocks, reached_at
                   FROM milestones WHERE match_id = $1 AND milestone_id = $2";
        let row = transaction.query_one(sql, &[&id, &reached.milestone_id]).await?;
        transaction.commit().await?;
        Ok(Recorded::Stands { new, milestone: of_row(&row)?.1 })
    }

    /// Claims at most `limit` milestones that nobody has announced yet (only those of `only`, if given). Those that another
    /// replica is announcing now are left to it.
    pub(crate) async fn claim_unannounced(&self, only: Option<&MatchId>, limit: i64) -> Result<Claim, StoreError> {
        let client = self.client().await?;
        // Until it is settled, dropping the claim closes its connection: the locks go, the milestones stay unannounced.
        let mut claim = Claim { client: Some(client), milestones: Vec::new() };
        if let Some(client) = &claim.client {
            claim.milestones = lock_unannounced(client, only, limit).await?;
        }
        Ok(claim)
    }
}

impl Claim {
    /// What is to be announced.
    pub(crate) fn milestones(&self) -> &[Announced] {
        &self.milestones
    }

    /// Notes that all of them were announced.
    pub(crate) async fn settle(mut self) -> Result<(), StoreError> {
        let Some(client) = &self.client else { return Ok(()) };
        for told in &self.milestones {
            let sql =
                "UPDATE milestones SET announced_at = clock_timestamp() WHERE match_id = $1 AND milestone_id = $2";
            client.execute(sql, &[&told.match_id.as_str(), &told.milestone.milestone_id]).await?;
        }
        client.batch_execute("COMMIT").await?;
        self.client.take();
        Ok(())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            drop(Object::take(client));
        }
    }
}

async fn lock_unannounced(client: &Object, only: Option<&MatchId>, limit: i64) -> Result<Vec<Announced>, StoreError> {
    client.batch_execute("BEGIN").await?;
    let statement = client.prepare_cached(CLAIM).await?;
    let rows = client.query(&statement, &[&only.map(MatchId::as_str), &limit]).await?;
    Ok(rows.iter().map(claimed).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// The match's row is locked, so the next number is nobody else's.
async fn insert(transaction: &Transaction<'_>, reached: &Reached) -> Result<bool, Error> {
    let sql = "INSERT INTO milestones (match_id, milestone_id, ord, seq, unlocks, reached_at)
               SELECT $1, $2, (SELECT coalesce(max(ord), 0) + 1 FROM milestones WHERE match_id = $1), $3, $4,
                      coalesce((SELECT created_at FROM messages WHERE match_id = $1 AND seq = $3),
                               date_trunc('milliseconds', clock_timestamp()))
               ON CONFLICT (match_id, milestone_id) DO NOTHING";
    let id = reached.match_id.as_str();
    let inserted =
        transaction.execute(sql, &[&id, &reached.milestone_id, &reached.threshold, &reached.unlocks]).await?;
    Ok(inserted == 1)
}

fn claimed(row: &Row) -> Result<Option<Announced>, Error> {
    let (id, milestone) = of_row(row)?;
    let members = users(row, 6)?;
    Ok(MatchId::new(id).ok().map(|match_id| Announced { match_id, members, milestone }))
}

/// A milestone and the id of its match.
pub(super) fn of_row(row: &Row) -> Result<(String, Milestone), Error> {
    let milestone = Milestone {
        milestone_id: row.try_get(1)?,
        ord: row.try_get(2)?,
        threshold: row.try_get(3)?,
        unlocks: row.try_get(4)?,
        reached_at_ms: to_ms(row.try_get(5)?),
    };
    Ok((row.try_get(0)?, milestone))
}

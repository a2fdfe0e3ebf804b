//! Users whose data is erased: asked for, taken on by a replica, done, and forgotten.

use std::time::Duration;

use deadpool_postgres::Transaction;
use proto::{
    UserId,
    chat::{Erasure, ErasureState, ErasureStep},
};
use tokio_postgres::{Error, Row};

use super::{Store, StoreError, time::to_ms};
use crate::erasure_step::Step;

/// The step of a receipt that names the reports that are kept.
const EVIDENCE: &str = "evidence";
/// Most reports that a receipt names. It tells of all how many they are.
const MAX_NAMED: i64 = 1_000;

/// One that is asked for again is begun again, at once unless a replica works on it.
const ASK: &str = "INSERT INTO erasures AS e (user_id, asked_at, due_at)
     VALUES ($1, date_trunc('milliseconds', clock_timestamp()), clock_timestamp())
     ON CONFLICT (user_id) DO UPDATE SET
         asked_at = excluded.asked_at,
         due_at = CASE WHEN e.finished_at IS NULL AND e.failures = 0 THEN e.due_at ELSE excluded.due_at END,
         begun_at = CASE WHEN e.finished_at IS NULL THEN e.begun_at END,
         finished_at = NULL";

const LIST: &str = "INSERT INTO erasure_matches (user_id, match_id)
     SELECT user_id, match_id FROM user_matches WHERE user_id = $1
     UNION SELECT user_id, match_id FROM departures WHERE user_id = $1
     ON CONFLICT DO NOTHING";

/// When the user was seen last goes with what the user shares.
const FORGET_SETTINGS: &str = "WITH seen AS (DELETE FROM last_seen WHERE user_id = $1)
     DELETE FROM settings WHERE user_id = $1";

const TAKE: &str = "UPDATE erasures
     SET due_at = clock_timestamp() + make_interval(secs => $1), begun_at = coalesce(begun_at, clock_timestamp())
     WHERE user_id = (SELECT user_id FROM erasures WHERE finished_at IS NULL AND due_at <= now()
                      ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
     RETURNING user_id";

/// How many users wait to be erased, and for how long the first of them has.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Backlog {
    pub(crate) users: i64,
    pub(crate) oldest: Duration,
}

impl Store {
    /// Notes that a user is to be erased, with the matches that this concerns. What is few is erased at once.
    pub(crate) async fn ask_erasure(&self, user: &UserId) -> Result<Erasure, StoreError> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await?;
        transaction.execute(ASK, &[&user.as_str()]).await?;
        transaction.execute(LIST, &[&user.as_str()]).await?;
        for (step, sql) in [(Step::Settings, FORGET_SETTINGS), (Step::Blocks, "DELETE FROM blocks WHERE user_id = $1")]
        {
            let count = transaction.execute(sql, &[&user.as_str()]).await?;
            add(&transaction, user, &[(step, count)]).await?;
        }
        transaction.commit().await?;
        self.erasure(user).await?.ok_or_else(|| StoreError::Unavailable("the erasure is gone again".to_owned()))
    }

    /// How far the erasure of a user is; `None` when nobody has asked for it.
    pub(crate) async fn erasure(&self, user: &UserId) -> Result<Option<Erasure>, StoreError> {
        let client = self.client().await?;
        let sql = "SELECT asked_at, begun_at, finished_at FROM erasures WHERE user_id = $1";
        let Some(row) = client.query_opt(sql, &[&user.as_str()]).await? else { return Ok(None) };
        let counts = "SELECT step, count FROM erasure_counts WHERE user_id = $1";
        let counts = client.query(counts, &[&user.as_str()]).await?;
        let kept = "SELECT count(*), (array_agg(report_id ORDER BY report_id))[1:$2::bigint] FROM erasure_reports
                    WHERE user_id = $1";
        let kept = client.query_one(kept, &[&user.as_str(), &MAX_NAMED]).await?;
        Ok(Some(receipt(&row, &counts, &kept)?))
    }

    /// Takes on an erasure that is due, for so long; longer with each part of it that is done.
    pub(crate) async fn take_erasure(&self, lease: Duration) -> Result<Option<UserId>, StoreError> {
        let client = self.client().await?;
        let row = client.query_opt(TAKE, &[&lease.as_secs_f64()]).await?;
        Ok(row.map(|row| row.try_get::<_, String>(0)).transpose()?.and_then(|id| UserId::new(id).ok()))
    }

    /// Notes that an erasure is done, unless more was asked for meanwhile. Whether it is.
    pub(crate) async fn finish_erasure(&self, user: &UserId) -> Result<bool, StoreError> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await?;
        // A statement of its own sees what was asked for while this one waited.
        transaction.execute("SELECT FROM erasures WHERE user_id = $1 FOR UPDATE", &[&user.as_str()]).await?;
        let sql = "UPDATE erasures SET finished_at = clock_timestamp(), failures = 0
                   WHERE user_id = $1 AND NOT EXISTS (SELECT FROM erasure_matches WHERE user_id = $1)";
        let is_done = transaction.execute(sql, &[&user.as_str()]).await? > 0;
        transaction.commit().await?;
        Ok(is_done)
    }

    /// Notes that an erasure has failed, to be taken on again later: each time after twice the time, up to `most`.
    pub(crate) async fn postpone_erasure(
        &self,
        user: &UserId,
        (first, most): (Duration, Duration),
    ) -> Result<(), StoreError> {
        let client = self.client().await?;
        let sql = "UPDATE erasures SET failures = failures + 1,
                       due_at = clock_timestamp() + make_interval(secs => least($3, $2 * 2 ^ least(failures, 20)))
                   WHERE user_id = $1";
        client.execute(sql, &[&user.as_str(), &first.as_secs_f64(), &most.as_secs_f64()]).await?;
        Ok(())
    }

    /// What waits to be erased.
    pub(crate) async fn erasures_left(&self) -> Result<Backlog, StoreError> {
        let client = self.client().await?;
        let sql = "SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(asked_at)), 0)::float8
                   FROM erasures WHERE finished_at IS NULL";
        let row = client.query_one(sql, &[]).await?;
        let oldest = Duration::try_from_secs_f64(row.try_get(1)?).unwrap_or_default();
        Ok(Backlog { users: row.try_get(0)?, oldest })
    }

    /// Forgets at most `limit` erasures that were done longer ago than `kept`. Returns how many.
    pub(crate) async fn forget_erasures(&self, kept: Duration, limit: i64) -> Result<u64, StoreError> {
        let client = self.client().await?;
        let sql = "DELETE FROM erasures WHERE user_id IN (
                       SELECT user_id FROM erasures
                       WHERE finished_at < clock_timestamp() - make_interval(secs => $1)
                       ORDER BY finished_at LIMIT $2 FOR UPDATE SKIP LOCKED)";
        Ok(client.execute(sql, &[&kept.as_secs_f64(), &limit]).await?)
    }
}

/// Adds to what was erased of a user.
pub(super) async fn add(transaction: &Transaction<'_>, user: &UserId, counts: &[(Step, u64)]) -> Result<(), Error> {
    let (steps, numbers): (Vec<&str>, Vec<i64>) =
        counts.iter().map(|(step, count)| (step.name(), i64::try_from(*count).unwrap_or(i64::MAX))).unzip();
    let sql = "INSERT INTO erasure_counts AS c (user_id, step, count)
               SELECT $1, step, count FROM unnest($2::text[], $3::bigint[]) AS v (step, count) WHERE count > 0
               ON CONFLICT (user_id, step) DO UPDATE SET count = c.count + excluded.count";
    transaction.execute(sql, &[&user.as_str(), &steps, &numbers]).await?;
    Ok(())
}

fn receipt(row: &Row, counts: &[Row], kept: &Row) -> Result<Erasure, Error> {
    let (requested_at_ms, has_begun) = (to_ms(row.try_get(0)?), row.try_get::<_, Option<std::time::SystemTime>>(1)?);
    let finished_at_ms = row.try_get::<_, Option<_>>(2)?.map(to_ms);
    let state = match (finished_at_ms, has_begun) {
        (Some(_), _) => ErasureState::Done,
        (None, Some(_)) => ErasureState::Running,
        (None, None) => ErasureState::Pending,
    };
    let count = |step: Step| {
        let found = counts.iter().find(|row| row.try_get::<_, &str>(0).is_ok_and(|name| name == step.name()));
        found.map_or(Ok(0), |row| row.try_get(1))
    };
    let step = |step: Step| {
        let state = if step.is_immediate() { ErasureState::Done } else { state };
        Ok(ErasureStep { name: step.name().into(), state: state.into(), count: count(step)?, report_ids: vec![] })
    };
    let mut steps = Step::ALL.into_iter().map(step).collect::<Result<Vec<_>, Error>>()?;
    let report_ids = kept.try_get::<_, Option<Vec<i64>>>(1)?.unwrap_or_default();
    steps.push(ErasureStep { name: EVIDENCE.into(), state: state.into(), count: kept.try_get(0)?, report_ids });
    Ok(Erasure { requested_at_ms, state: state.into(), finished_at_ms, steps })
}

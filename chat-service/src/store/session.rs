//! A lane's own connection: one transaction at a time, each in two pipelined round trips.

mod finds;
mod memberships;
mod statements;
mod writes;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures_util::{
    FutureExt,
    future::{join, join4, join5},
};
use proto::MatchId;
use service_kit::Lifecycle;
use tokio::time::timeout;
use tokio_postgres::{Client, Error, Row};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Store, StoreError, hosts, members, set_durable, time::to_ms};
use crate::{
    audience::Audience,
    batch::Writes,
    command::Wanted,
    lanes::{
        TripError,
        transaction::{Connection, Found, Locked},
    },
    room::Head,
};
use statements::Statements;

/// A trip that takes longer is given up, and the connection with it. Above the statement time-out, which tells more.
const TRIP_TIMEOUT: Duration = Duration::from_secs(3);

/// Few rows by key, always: a plan that scans would also lock in another order.
const PLANNER: &str = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off;
     SET enable_hashjoin = off; SET enable_mergejoin = off";

/// A connection with its statements prepared. Dropping it closes the connection at once, whatever is under way.
#[derive(Debug)]
pub(crate) struct Session {
    client: Client,
    statements: Statements,
    _connection: DropGuard,
}

impl Session {
    /// Connects, makes its COMMITs durable, and prepares the statements.
    pub(crate) async fn open(store: &Store, lifecycle: &Lifecycle) -> Result<Self, StoreError> {
        let opened = timeout(TRIP_TIMEOUT, connect(store, lifecycle)).await;
        opened.map_err(|_| StoreError::Unavailable("no connection in time".to_owned()))?
    }

    async fn undo(&self) -> Result<(), TripError> {
        within(self.client.batch_execute("ROLLBACK")).await?.map_err(|_| TripError::Lost)
    }

    /// A statement that failed leaves its transaction open; the connection is used again.
    async fn or_roll_back<T>(&self, result: Result<T, Error>) -> Result<T, TripError> {
        match result {
            Ok(value) => Ok(value),
            Err(error) => {
                let kind = TripError::from(&error);
                if kind != TripError::Lost {
                    self.undo().await?;
                }
                Err(kind)
            }
        }
    }
}

impl Connection for Session {
    async fn advance(&mut self, advances: &BTreeMap<MatchId, i64>) -> Result<BTreeMap<MatchId, Head>, TripError> {
        let ids: Vec<&str> = advances.keys().map(MatchId::as_str).collect();
        let counts: Vec<i64> = advances.values().copied().collect();
        let begin = self.client.batch_execute("BEGIN");
        let update = async { self.client.query(&self.statements.advance, &[&ids, &counts]).await };
        let (opened, rows) = within(join(begin, update)).await?;
        opened.map_err(|error| TripError::from(&error))?;
        self.or_roll_back(rows.and_then(|rows| heads(&rows))).await
    }

    async fn lock(&mut self, matches: &[(&str, i64)], wanted: &Wanted<'_>) -> Result<Locked, TripError> {
        let (ids, versions): (Vec<&str>, Vec<i64>) = matches.iter().copied().unzip();
        let begin = self.client.batch_execute("BEGIN");
        let lock = async { self.client.query(&self.statements.lock, &[&ids]).await };
        // A statement sees what was committed before it began: what is found stands under the locks.
        let newer = async { self.client.query(&self.statements.find_changed, &[&ids, &versions]).await };
        let found = Box::pin(join(self.find(wanted), self.find_invitations(&wanted.invitations)));
        let (opened, locked, newer, (found, invitations)) = within(join4(begin, lock, newer, found)).await?;
        opened.map_err(|error| TripError::from(&error))?;
        let locked = locked.and_then(|locked| {
            let found = Found { invitations: invitations?, ..found? };
            Ok(Locked { heads: heads(&locked)?, found, changed: audiences(&newer?)? })
        });
        self.or_roll_back(locked).await
    }

    async fn write(&mut self, writes: &Writes, heads: &BTreeMap<MatchId, Head>) -> Result<(), TripError> {
        let set_heads = self.set_heads(heads);
        let (rows, changes) = (self.insert_rows(&writes.rows), self.append(&writes.changes));
        let (members, rest) = (self.set_members(&writes.changes), self.update(writes));
        let commit = self.client.batch_execute("COMMIT");
        let written = join5(set_heads, rows, changes, members, rest);
        let ((moved, inserted, appended, set, kept), committed) = within(join(written, commit)).await?;
        // A failed statement makes the COMMIT behind it a ROLLBACK, which does not fail.
        let written = moved.and(inserted).and(appended).and(set).and(kept);
        written.and(committed).map_err(|error| TripError::from(&error))
    }

    async fn roll_back(&mut self) -> Result<(), TripError> {
        self.undo().await
    }

    fn now(&self) -> Instant {
        Instant::now()
    }
}

async fn connect(store: &Store, lifecycle: &Lifecycle) -> Result<Session, StoreError> {
    let (client, connection) = store.hosts.connect().await?;
    let dropped = CancellationToken::new();
    let driven = dropped.clone().run_until_cancelled_owned(hosts::drive(connection));
    lifecycle.spawn_background(driven.map(|_| ()));
    let guard = dropped.drop_guard();
    set_durable(&client).await?;
    client.batch_execute(PLANNER).await?;
    let statements = Statements::prepare(&client).await?;
    Ok(Session { client, statements, _connection: guard })
}

async fn within<T>(trip: impl Future<Output = T>) -> Result<T, TripError> {
    timeout(TRIP_TIMEOUT, trip).await.map_err(|_| TripError::Lost)
}

/// The rows of matches that are locked. An id that the contracts would not allow no match can have.
fn heads(rows: &[Row]) -> Result<BTreeMap<MatchId, Head>, Error> {
    let head = |row: &Row| {
        let (last_seq, rev, closed) = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        let (now_ms, members_rev) = (to_ms(row.try_get(4)?), row.try_get(5)?);
        let head = Head { last_seq, rev, closed, now_ms, members_rev };
        Ok(MatchId::new(row.try_get::<_, &str>(0)?).ok().map(|id| (id, head)))
    };
    rows.iter().filter_map(|row| head(row).transpose()).collect()
}

fn audiences(rows: &[Row]) -> Result<BTreeMap<MatchId, Audience>, Error> {
    let audience = |row: &Row| {
        let audience = members::audience(row)?;
        Ok(MatchId::new(row.try_get::<_, &str>(members::AFTER)?).ok().map(|id| (id, audience)))
    };
    rows.iter().filter_map(|row| audience(row).transpose()).collect()
}

//! A lane's own connection: one transaction at a time, each in two pipelined round trips.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime},
};

use futures_util::{FutureExt, future::join3};
use proto::{MatchId, chat::Message};
use service_kit::Lifecycle;
use tokio::time::timeout;
use tokio_postgres::{Client, Error, Statement};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Store, StoreError, hosts, messages, set_durable,
    time::{from_ms, to_ms},
};
use crate::{
    batch::Keys,
    lanes::{
        TripError,
        transaction::{Connection, Locked},
    },
    room::{Head, Row},
};

/// A trip that takes longer is given up, and the connection with it. Above the statement time-out, which tells more.
const TRIP_TIMEOUT: Duration = Duration::from_secs(3);

/// Few rows by key, always: a plan that scans would also lock in another order.
const PLANNER: &str = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off;
     SET enable_hashjoin = off; SET enable_mergejoin = off";

const ADVANCE: &str = "UPDATE matches m SET last_seq = m.last_seq + v.n
     FROM unnest($1::text[], $2::bigint[]) AS v (match_id, n)
     WHERE m.match_id = v.match_id AND m.closed_at IS NULL
     RETURNING m.match_id, m.last_seq - v.n, date_trunc('milliseconds', clock_timestamp())";

const LOCK: &str = "SELECT match_id, last_seq, closed_at IS NOT NULL, date_trunc('milliseconds', clock_timestamp())
     FROM matches WHERE match_id = ANY ($1) ORDER BY match_id FOR UPDATE";

const FIND_BY_CLIENT_ID: &str =
    "SELECT m.match_id, m.seq, m.sender_id, m.client_id, m.origin, m.body, m.created_at, m.by_rest
     FROM unnest($1::text[], $2::text[], $3::text[]) AS k (match_id, sender_id, client_id)
     JOIN messages m USING (match_id, sender_id, client_id)";

const FIND_BY_SEQ: &str =
    "SELECT m.match_id, m.seq, m.sender_id, m.client_id, m.origin, m.body, m.created_at, m.by_rest
     FROM unnest($1::text[], $2::bigint[]) AS k (match_id, seq) JOIN messages m USING (match_id, seq)";

const SET_HEADS: &str = "UPDATE matches m SET last_seq = v.last_seq
     FROM unnest($1::text[], $2::bigint[]) AS v (match_id, last_seq) WHERE m.match_id = v.match_id";

const INSERT: &str = "INSERT INTO messages (match_id, seq, sender_id, client_id, origin, body, created_at, by_rest)
     SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::timestamptz[],
                          $8::boolean[])";

/// A connection with its statements prepared. Dropping it closes the connection at once, whatever is under way.
#[derive(Debug)]
pub(crate) struct Session {
    client: Client,
    statements: Statements,
    _connection: DropGuard,
}

#[derive(Debug)]
struct Statements {
    advance: Statement,
    lock: Statement,
    find_by_client_id: Statement,
    find_by_seq: Statement,
    set_heads: Statement,
    insert: Statement,
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

    async fn find(&self, keys: &Keys<'_>) -> Result<Vec<Row>, Error> {
        let ids: Vec<&str> = keys.by_client_id.iter().map(|key| key.0).collect();
        let senders: Vec<&str> = keys.by_client_id.iter().map(|key| key.1).collect();
        let client_ids: Vec<&str> = keys.by_client_id.iter().map(|key| key.2).collect();
        let ids_of_seqs: Vec<&str> = keys.by_seq.iter().map(|key| key.0).collect();
        let seqs: Vec<i64> = keys.by_seq.iter().map(|key| key.1).collect();
        let by_client_id =
            async { self.client.query(&self.statements.find_by_client_id, &[&ids, &senders, &client_ids]).await };
        let by_seq = async {
            if seqs.is_empty() {
                return Ok(Vec::new());
            }
            self.client.query(&self.statements.find_by_seq, &[&ids_of_seqs, &seqs]).await
        };
        let (by_client_id, by_seq) = futures_util::future::join(by_client_id, by_seq).await;
        by_client_id?.iter().chain(&by_seq?).map(messages::row_with_provenance).collect()
    }

    async fn set_heads(&self, heads: Option<&BTreeMap<&str, i64>>) -> Result<(), Error> {
        let Some(heads) = heads.filter(|heads| !heads.is_empty()) else {
            return Ok(());
        };
        let ids: Vec<&str> = heads.keys().copied().collect();
        let seqs: Vec<i64> = heads.values().copied().collect();
        self.client.execute(&self.statements.set_heads, &[&ids, &seqs]).await.map(|_| ())
    }

    async fn insert_rows(&self, rows: &[Row]) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let text = |field: fn(&Message) -> &str| rows.iter().map(|row| field(&row.message)).collect::<Vec<_>>();
        let seqs: Vec<i64> = rows.iter().map(|row| row.message.seq).collect();
        let origins: Vec<Option<i64>> = rows.iter().map(|row| row.message.origin.map(u64::cast_signed)).collect();
        let times: Vec<SystemTime> = rows.iter().map(|row| from_ms(row.message.created_at_ms)).collect();
        let by_rest: Vec<bool> = rows.iter().map(|row| row.by_rest).collect();
        let (ids, senders) = (text(|message| &message.match_id), text(|message| &message.sender_id));
        let (client_ids, bodies) = (text(|message| &message.client_id), text(|message| &message.body));
        let columns: [&(dyn tokio_postgres::types::ToSql + Sync); 8] =
            [&ids, &seqs, &senders, &client_ids, &origins, &bodies, &times, &by_rest];
        self.client.execute(&self.statements.insert, &columns).await.map(|_| ())
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
        let trip = futures_util::future::join(begin, update);
        let (opened, rows) = within(trip).await?;
        opened.map_err(|error| TripError::from(&error))?;
        let heads = rows.and_then(|rows| rows.iter().map(open_head).collect::<Result<Vec<_>, _>>());
        self.or_roll_back(heads.map(|heads| heads.into_iter().flatten().collect())).await
    }

    async fn lock(&mut self, matches: &[&str], keys: &Keys<'_>) -> Result<Locked, TripError> {
        let begin = self.client.batch_execute("BEGIN");
        let lock = async { self.client.query(&self.statements.lock, &[&matches]).await };
        let find = self.find(keys);
        let (opened, locked, found) = within(join3(begin, lock, find)).await?;
        opened.map_err(|error| TripError::from(&error))?;
        let heads = locked.and_then(|rows| rows.iter().map(locked_head).collect::<Result<Vec<_>, _>>());
        let locked = heads.and_then(|heads| Ok(Locked { heads: heads.into_iter().flatten().collect(), rows: found? }));
        self.or_roll_back(locked).await
    }

    async fn insert(&mut self, rows: &[Row], heads: Option<&BTreeMap<&str, i64>>) -> Result<(), TripError> {
        let set_heads = self.set_heads(heads);
        let insert = self.insert_rows(rows);
        let commit = self.client.batch_execute("COMMIT");
        let (moved, inserted, committed) = within(join3(set_heads, insert, commit)).await?;
        // A failed statement makes the COMMIT behind it a ROLLBACK, which does not fail.
        moved.and(inserted).and(committed).map_err(|error| TripError::from(&error))
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
    let statements = Statements {
        advance: client.prepare(ADVANCE).await?,
        lock: client.prepare(LOCK).await?,
        find_by_client_id: client.prepare(FIND_BY_CLIENT_ID).await?,
        find_by_seq: client.prepare(FIND_BY_SEQ).await?,
        set_heads: client.prepare(SET_HEADS).await?,
        insert: client.prepare(INSERT).await?,
    };
    Ok(Session { client, statements, _connection: guard })
}

async fn within<T>(trip: impl Future<Output = T>) -> Result<T, TripError> {
    timeout(TRIP_TIMEOUT, trip).await.map_err(|_| TripError::Lost)
}

/// `None` for an id that the contracts would not allow, which no match can have.
fn open_head(row: &tokio_postgres::Row) -> Result<Option<(MatchId, Head)>, Error> {
    let head = Head { last_seq: row.try_get(1)?, closed: false, now_ms: to_ms(row.try_get(2)?) };
    Ok(MatchId::new(row.try_get::<_, &str>(0)?).ok().map(|id| (id, head)))
}

fn locked_head(row: &tokio_postgres::Row) -> Result<Option<(MatchId, Head)>, Error> {
    let head = Head { last_seq: row.try_get(1)?, closed: row.try_get(2)?, now_ms: to_ms(row.try_get(3)?) };
    Ok(MatchId::new(row.try_get::<_, &str>(0)?).ok().map(|id| (id, head)))
}

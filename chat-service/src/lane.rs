//! The lanes of this replica: tasks that run what [`Lanes`](crate::lanes::Lanes) says, each on a connection of its own.

mod entrance;
mod postgres;
mod telling;

pub(crate) use entrance::{Entrance, OpenEntrance};

use std::{sync::Arc, time::Instant};

use service_kit::{
    Lifecycle,
    mutation::{self, Mutation},
};
use tokio::time::sleep_until;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{Span, error, info_span};

use crate::{
    announcer::Told,
    lanes::{Conclusion, Next, Part, TripError},
    metrics::Metrics,
    shared::Shared,
};
use entrance::Ticket;
use postgres::Postgres;
use telling::Telling;

/// Starts the lanes behind an entrance. The token is cancelled when the last of them has ended.
pub(crate) fn start(
    count: u16,
    entrance: &Entrance,
    shared: &Shared,
    told: &Told,
    lifecycle: &Lifecycle,
) -> (OpenEntrance, CancellationToken) {
    let ended = CancellationToken::new();
    let alive = Arc::new(ended.clone().drop_guard());
    for _ in 0..count.max(1) {
        let task = Lane {
            entrance: entrance.clone(),
            postgres: Postgres::new(shared.store.clone(), lifecycle.clone()),
            telling: Telling::new(shared, told.clone()),
            metrics: shared.metrics.clone(),
            _alive: alive.clone(),
        };
        lifecycle.spawn_essential("lane", task.run());
    }
    (OpenEntrance::new(entrance.clone()), ended)
}

struct Lane {
    entrance: Entrance,
    postgres: Postgres,
    telling: Telling,
    metrics: Metrics,
    _alive: Arc<DropGuard>,
}

impl Lane {
    async fn run(mut self) {
        let entrance = self.entrance.clone();
        loop {
            let changed = entrance.changed();
            let next = entrance.lanes().next(Instant::now());
            match next {
                Next::Begin { part, deadline, more } => {
                    if more {
                        entrance.wake_one();
                    }
                    self.commit(part, deadline).await;
                }
                Next::Wait(None) => changed.await,
                Next::Wait(Some(at)) => tokio::select! {
                    () = changed => {}
                    () = sleep_until(at.into()) => {}
                },
                Next::End => break,
            }
        }
        self.telling.flush().await;
    }

    async fn commit(&mut self, part: Part<Ticket>, deadline: Instant) {
        let started = Instant::now();
        let spans = spans(&part);
        let outcome = self.postgres.commit(&part, deadline).await;
        drop(spans);
        match &outcome {
            Ok(decision) => self.metrics.committed(decision.writes.rows.len(), started.elapsed()),
            Err(failed) => {
                self.metrics.commit_failed(reason(*failed));
                if *failed == TripError::Broken {
                    error!(matches = ?part.matches(), "PostgreSQL will never take some of this");
                }
            }
        }
        let Conclusion { answered, progress, news, changed, is_unknown, rest } = part.conclude(outcome);
        // The acks first; then everybody else hears of it.
        let sources = answered.into_iter().map(telling::answer).collect();
        self.telling.note_changed(&changed);
        if telling::completes_milestone(&news) {
            mutation::crash(Mutation::CrashAfterCommit).await;
        }
        if is_unknown {
            self.telling.note_unknown();
        }
        self.telling.tell(&sources, progress, news);
        self.entrance.lanes().done(rest, Instant::now());
    }
}

/// One child of each command's span, for the time of an attempt.
fn spans(part: &Part<Ticket>) -> Vec<Span> {
    let requests = part.tickets().len();
    let rows: usize = part.commands().iter().map(|command| command.rows()).sum();
    let span =
        |ticket: &Ticket| info_span!(parent: &ticket.span, "commit", batch.rows = rows, batch.requests = requests);
    part.tickets().map(span).collect()
}

fn reason(error: TripError) -> &'static str {
    match error {
        TripError::Away => "away",
        TripError::Duplicate => "duplicate",
        TripError::Contended => "contended",
        TripError::Stalled => "stalled",
        TripError::Lost => "lost",
        TripError::Refused => "refused",
        TripError::Broken => "broken",
        TripError::Expired => "expired",
    }
}

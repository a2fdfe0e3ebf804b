//! The lanes of this replica: tasks that run what [`Lanes`](crate::lanes::Lanes) says, each on a connection of its own.

mod link;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use proto::{
    MatchId,
    chat::{Message, SendResult},
    inbox::{MessagesPosted, inbox_event::Event},
};
use service_kit::{
    Lifecycle,
    bus::Bus,
    mutation::{self, Mutation},
};
use tokio::{
    sync::{Notify, oneshot},
    time::sleep_until,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{Span, error, info_span};

use crate::{
    batch::Request,
    inbox::Inbox,
    lanes::{Answered, Conclusion, Lanes, Next, Part, Refused, TripError},
    members::Pair,
    metrics::Metrics,
    posted::Posted,
    store::Store,
};
use link::Link;

/// Only for [`Mutation::CrashAfterCommit`]: the message that completes the milestone that there is unless configured
/// otherwise.
const COMPLETING_SEQ: i64 = 100;

/// What all lanes share.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) bus: Bus,
    pub(crate) posted: Posted,
    pub(crate) metrics: Metrics,
}

/// How batches are committed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// How many may be committed at once.
    pub(crate) lanes: u16,
    /// Between the beginnings of two.
    pub(crate) interval: Duration,
}

/// The side that waits for the answer to a request.
#[derive(Debug)]
struct Ticket {
    answer: oneshot::Sender<Vec<SendResult>>,
    pair: Pair,
    span: Span,
    _counted: Counted,
}

/// The way into the lanes. When it is dropped they finish what they have and end.
#[derive(Debug)]
pub(crate) struct Entrance {
    line: Arc<Line>,
    metrics: Metrics,
}

#[derive(Debug)]
struct Line {
    lanes: Mutex<Lanes<Ticket>>,
    changed: Notify,
}

impl Line {
    fn lanes(&self) -> MutexGuard<'_, Lanes<Ticket>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the lanes. The token is cancelled when the last of them has ended.
pub(crate) fn start(pace: Pace, shared: &Shared, lifecycle: &Lifecycle) -> (Entrance, CancellationToken) {
    let ended = CancellationToken::new();
    let alive = Arc::new(ended.clone().drop_guard());
    let lanes = Mutex::new(Lanes::new(pace.interval, fastrand::u64(..)));
    let line = Arc::new(Line { lanes, changed: Notify::new() });
    for _ in 0..pace.lanes.max(1) {
        let task = Lane {
            line: line.clone(),
            link: Link::new(shared.store.clone(), lifecycle.clone()),
            inbox: Inbox::new(shared),
            shared: shared.clone(),
            _alive: alive.clone(),
        };
        lifecycle.spawn_essential("lane", task.run());
    }
    (Entrance { line, metrics: shared.metrics.clone() }, ended)
}

impl Entrance {
    /// Commits the drafts of a request before its deadline.
    pub(crate) async fn commit(
        &self,
        request: Request,
        pair: Pair,
        deadline: Instant,
    ) -> Result<Vec<SendResult>, Refused> {
        let (answer, results) = oneshot::channel();
        let ticket = Ticket { answer, pair, span: Span::current(), _counted: Counted::new(&self.metrics) };
        let wakes = self.line.lanes().push(request, ticket, deadline, Instant::now())?;
        if wakes {
            self.line.changed.notify_one();
        }
        results.await.map_err(|_| Refused::Away)
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        self.line.lanes().close();
        self.line.changed.notify_waiters();
    }
}

struct Lane {
    line: Arc<Line>,
    link: Link,
    inbox: Inbox,
    shared: Shared,
    _alive: Arc<DropGuard>,
}

impl Lane {
    async fn run(mut self) {
        let line = self.line.clone();
        loop {
            let changed = line.changed.notified();
            let next = line.lanes().next(Instant::now());
            match next {
                Next::Begin { part, deadline, more } => {
                    if more {
                        line.changed.notify_one();
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
        // The last events have left.
        let _ = self.inbox.flush().await;
    }

    async fn commit(&mut self, part: Part<Ticket>, deadline: Instant) {
        let started = Instant::now();
        let spans = spans(&part);
        let outcome = self.link.commit(&part, deadline).await;
        drop(spans);
        match &outcome {
            Ok(decision) => self.shared.metrics.committed(decision.rows.len(), started.elapsed()),
            Err(failed) => {
                self.shared.metrics.commit_failed(reason(*failed));
                if *failed == TripError::Broken {
                    error!(matches = ?part.matches(), "PostgreSQL will never take some of this");
                }
            }
        }
        let Conclusion { answered, runs, repeated, is_unknown, rest } = part.conclude(outcome);
        // The acks first; then everybody else hears of it.
        let sources = answered.into_iter().map(answer).collect();
        if mutation::is_broken(Mutation::CrashAfterCommit) && runs.iter().flatten().any(|row| row.seq == COMPLETING_SEQ)
        {
            mutation::crash(Mutation::CrashAfterCommit).await;
        }
        if is_unknown {
            self.shared.posted.missed();
        }
        self.tell(&sources, runs, &repeated);
        self.line.lanes().done(rest, Instant::now());
    }

    fn tell(&self, sources: &Sources, runs: Vec<Vec<Message>>, repeated: &[Message]) {
        for message in repeated {
            // Whoever committed it may have died before it could tell.
            if let Some((id, (_, span))) = sources.get_key_value(message.match_id.as_str()) {
                self.shared.posted.moved((id, message.seq), None, span);
            }
        }
        for messages in runs {
            let Some(last) = messages.last() else { continue };
            let Some((id, (pair, span))) = sources.get_key_value(last.match_id.as_str()) else { continue };
            self.shared.posted.moved((id, last.seq), Some(last.created_at_ms), span);
            let told = info_span!(parent: span, "publish", messages = messages.len(), otel.kind = "producer");
            let event = Event::MessagesPosted(MessagesPosted { messages });
            // A failure is counted there; the gateways see the gap and read what they missed.
            let _ = told.in_scope(|| self.inbox.publish_at_once(pair, event));
        }
    }
}

/// Whom a match's messages concern, and the trace that they belong to.
type Sources = BTreeMap<MatchId, (Pair, Span)>;

fn answer(answered: Answered<Ticket>) -> (MatchId, (Pair, Span)) {
    let Ticket { answer, pair, span, .. } = answered.ticket;
    // A caller that has stopped waiting has answered its own caller.
    let _ = answer.send(answered.results);
    (answered.match_id, (pair, span))
}

/// One child of each request's span, for the time of an attempt.
fn spans(part: &Part<Ticket>) -> Vec<Span> {
    let requests = part.tickets().len();
    let messages: usize = part.requests().iter().map(|request| request.drafts.len()).sum();
    let span = |ticket: &Ticket| info_span!(parent: &ticket.span, "commit", batch.messages = messages, batch.requests = requests);
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

/// Counts a request in the queue depth as long as it lives.
#[derive(Debug)]
struct Counted(Metrics);

impl Counted {
    fn new(metrics: &Metrics) -> Self {
        metrics.queued(1);
        Self(metrics.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.queued(-1);
    }
}

//! The way into the lanes of a replica.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{Notify, futures::Notified, oneshot};
use tracing::Span;

use crate::{
    audience::Audience,
    command::Command,
    lanes::{Lanes, Refused},
    metrics::Metrics,
    outcome::Outcome,
};

/// The side that waits for the answer to a command.
#[derive(Debug)]
pub(super) struct Ticket {
    pub(super) answer: oneshot::Sender<Outcome>,
    pub(super) span: Span,
    _counted: Counted,
}

/// The way into the lanes. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Entrance {
    line: Arc<Line>,
    metrics: Metrics,
}

/// Keeps the entrance open. When it is dropped the lanes finish what they have and end.
#[derive(Debug)]
pub(crate) struct OpenEntrance(Entrance);

#[derive(Debug)]
struct Line {
    lanes: Mutex<Lanes<Ticket>>,
    changed: Notify,
}

impl Entrance {
    /// Of lanes that begin a COMMIT every `interval` at the most. What comes before they are started waits.
    pub(crate) fn new(interval: Duration, metrics: Metrics) -> Self {
        let lanes = Mutex::new(Lanes::new(interval, fastrand::u64(..)));
        Self { line: Arc::new(Line { lanes, changed: Notify::new() }), metrics }
    }

    /// Has a command committed before its deadline. Then the members are told: those of `audience`, unless they have
    /// changed.
    pub(crate) async fn commit(
        &self,
        command: impl Command + 'static,
        audience: Audience,
        deadline: Instant,
    ) -> Result<Outcome, Refused> {
        let (answer, outcome) = oneshot::channel();
        let ticket = Ticket { answer, span: Span::current(), _counted: Counted::new(&self.metrics) };
        let wakes = self.lanes().push((Box::new(command), audience), ticket, deadline, Instant::now())?;
        if wakes {
            self.wake_one();
        }
        outcome.await.map_err(|_| Refused::Away)
    }

    /// What the lanes have to do.
    pub(super) fn lanes(&self) -> MutexGuard<'_, Lanes<Ticket>> {
        self.line.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When there may be something for an idle lane.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.line.changed.notified()
    }

    /// Has an idle lane look.
    pub(super) fn wake_one(&self) {
        self.line.changed.notify_one();
    }
}

impl OpenEntrance {
    pub(super) fn new(entrance: Entrance) -> Self {
        Self(entrance)
    }
}

impl Drop for OpenEntrance {
    fn drop(&mut self) {
        self.0.lanes().close();
        self.0.line.changed.notify_waiters();
    }
}

/// Counts a command in the queue depth as long as it lives.
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

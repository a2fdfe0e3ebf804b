//! All deadlines of all sessions, kept in slices of time by one task: there is no timer per connection.

use super::{context::Context, session::Session};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{sync::Notify, time};
use tokio_util::sync::CancellationToken;

/// Widest slice in milliseconds.
const WIDEST_SLICE: u64 = 50;

/// Sessions that are looked at before other tasks get their turn.
const BATCH: usize = 256;

/// What of a session may be due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deadline {
    /// A ping, or its answer.
    Heartbeat,
    /// The handler's own: it closes the session unless it is disarmed.
    Connect,
    /// Progress of a write that the client holds up.
    Write,
    /// The end of a pause in which nothing is read.
    ReadPause,
    /// The end of a closed session.
    Close,
}

type Slices = BTreeMap<u64, Vec<(Arc<Session>, Deadline)>>;

/// Deadlines to come, by slice.
#[derive(Debug)]
pub(super) struct Deadlines {
    /// Width of a slice in milliseconds.
    slice: u64,
    slices: Mutex<Slices>,
    /// A deadline before all others was added.
    earlier: Notify,
}

impl Deadlines {
    /// A width that is small beside the shortest time that is kept.
    pub(super) fn slice_for(timeout: u64) -> u64 {
        (timeout / 100).clamp(1, WIDEST_SLICE)
    }

    pub(super) fn new(slice: u64) -> Self {
        Self { slice, slices: Mutex::default(), earlier: Notify::new() }
    }

    /// Has the session looked at shortly before `at`.
    pub(super) fn add(&self, at: u64, session: Arc<Session>, deadline: Deadline) {
        // One slice early, as the timer may be late.
        let slice = (at / self.slice).saturating_sub(1);
        let mut slices = self.lock();
        let is_first = slices.first_key_value().is_none_or(|(first, _)| slice < *first);
        slices.entry(slice).or_default().push((session, deadline));
        drop(slices);
        if is_first {
            self.earlier.notify_one();
        }
    }

    fn first(&self) -> Option<u64> {
        self.lock().first_key_value().map(|(slice, _)| slice * self.slice)
    }

    /// Takes the first slice if it has begun.
    fn take(&self, now: u64) -> Option<Vec<(Arc<Session>, Deadline)>> {
        let mut slices = self.lock();
        let first = slices.first_entry()?;
        (*first.key() * self.slice <= now).then(|| first.remove())
    }

    fn lock(&self) -> MutexGuard<'_, Slices> {
        self.slices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at sessions when something of them is due, until `stop`.
pub(super) async fn sweep(context: Arc<Context>, stop: CancellationToken) {
    loop {
        let first = context.deadlines.first();
        let begin = async {
            match first {
                Some(at) => time::sleep_until(context.instant(at).into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = begin => {}
            () = context.deadlines.earlier.notified() => continue,
            () = stop.cancelled() => break,
        }
        while let Some(due) = context.deadlines.take(context.now()) {
            for batch in due.chunks(BATCH) {
                for (session, deadline) in batch {
                    if let Some(at) = session.due(*deadline, context.now()) {
                        context.deadlines.add(at, Arc::clone(session), *deadline);
                    }
                }
                tokio::task::yield_now().await;
            }
        }
    }
    // Sessions and their deadlines refer to each other.
    context.deadlines.lock().clear();
}

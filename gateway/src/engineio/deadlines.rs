//! All deadlines of all sessions, kept in slices of time for one task: there is no timer per connection.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// Widest slice in milliseconds.
const WIDEST_SLICE: u64 = 50;

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

type Slices<S> = BTreeMap<u64, Vec<(Arc<S>, Deadline)>>;

/// Deadlines to come, by slice.
#[derive(Debug)]
pub(super) struct Deadlines<S> {
    /// Width of a slice in milliseconds.
    slice: u64,
    slices: Mutex<Slices<S>>,
    /// A deadline before all others was added.
    pub(super) earlier: Notify,
}

impl<S> Deadlines<S> {
    /// A width that is small beside the shortest time that is kept.
    pub(super) fn slice_for(timeout: u64) -> u64 {
        (timeout / 100).clamp(1, WIDEST_SLICE)
    }

    pub(super) fn new(slice: u64) -> Self {
        Self { slice, slices: Mutex::default(), earlier: Notify::new() }
    }

    /// Has the session looked at shortly before `at`.
    pub(super) fn add(&self, at: u64, session: Arc<S>, deadline: Deadline) {
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

    /// When the first slice begins.
    pub(super) fn first(&self) -> Option<u64> {
        self.lock().first_key_value().map(|(slice, _)| slice * self.slice)
    }

    /// Takes the first slice if it has begun.
    pub(super) fn take(&self, now: u64) -> Option<Vec<(Arc<S>, Deadline)>> {
        let mut slices = self.lock();
        let first = slices.first_entry()?;
        (*first.key() * self.slice <= now).then(|| first.remove())
    }

    /// Forgets all deadlines.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Slices<S>> {
        self.slices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Commands that wait: bounded by number, by bytes and by time, so that overload is refused at once. Pure.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use proto::MatchId;

use crate::{audience::Audience, command::Command};

/// Commands that may wait in a replica.
pub(crate) const MAX_WAITING: usize = 4_096;
/// What the commands of a replica, waiting or being committed, may weigh together.
pub(crate) const MAX_WAITING_KIB: usize = 128 * 1024;
/// A batch takes waiting commands until it may write this many rows.
pub const BATCH_ROWS: usize = 200;
/// While the commands that are taken had to wait for longer than this, new ones are refused. Below the 400 ms after
/// which a gateway asks again: what is answered later is work for nobody, and its repeat comes on top.
const MAX_WAIT: Duration = Duration::from_millis(250);

/// Why a command was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Too much waits already.
    Full,
    /// The outcome is unknown, or PostgreSQL is away.
    Away,
}

/// A command with whatever belongs to whoever waits for it.
#[derive(Debug)]
pub struct Job<T> {
    /// What is asked.
    pub command: Box<dyn Command>,
    /// The members of its match, as far as is known. They may have changed since.
    pub audience: Audience,
    /// When nobody waits any more.
    pub deadline: Instant,
    /// Who waits.
    pub ticket: T,
    queued_at: Instant,
    weight: Option<Weight>,
}

/// The weight of a command, as long as it lives.
#[derive(Debug)]
struct Weight {
    total_kib: Arc<AtomicUsize>,
    kib: usize,
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.total_kib.fetch_sub(self.kib, Relaxed);
    }
}

impl<T> Job<T> {
    pub(super) fn new(
        (command, audience): (Box<dyn Command>, Audience),
        ticket: T,
        deadline: Instant,
        now: Instant,
    ) -> Self {
        Self { command, audience, deadline, ticket, queued_at: now, weight: None }
    }

    /// The match that it writes to.
    pub(super) fn match_id(&self) -> &MatchId {
        self.command.match_id()
    }
}

/// The line.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    /// Those that the next batch may take.
    free: VecDeque<Job<T>>,
    /// How many rows these may write.
    rows: usize,
    /// The matches that are being committed, each with the commands that wait for that.
    busy: HashMap<MatchId, VecDeque<Job<T>>>,
    /// How many commands wait, free or not.
    len: usize,
    total_kib: Arc<AtomicUsize>,
    /// How long the oldest command of the batch that was taken last had waited.
    waited: Duration,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        let (free, busy, total_kib) = (VecDeque::new(), HashMap::new(), Arc::default());
        Self { free, rows: 0, busy, len: 0, total_kib, waited: Duration::ZERO }
    }
}

impl<T> Waiting<T> {
    /// Puts a command at the end, unless too much waits.
    pub(super) fn push(&mut self, mut job: Job<T>) -> Result<(), Refused> {
        let kib = job.command.bytes() / 1024 + 1;
        // A single batch is no backlog, however long the lanes were held up.
        let is_too_long = self.rows > BATCH_ROWS && self.waited > MAX_WAIT;
        if is_too_long || self.len == MAX_WAITING || self.total_kib.load(Relaxed) + kib > MAX_WAITING_KIB {
            return Err(Refused::Full);
        }
        self.total_kib.fetch_add(kib, Relaxed);
        job.weight = Some(Weight { total_kib: Arc::clone(&self.total_kib), kib });
        self.len += 1;
        match self.busy.get_mut(job.match_id()) {
            Some(behind) => behind.push_back(job),
            None => self.push_free(job),
        }
        Ok(())
    }

    /// Takes a batch, whose matches are busy until they are released.
    pub(super) fn take(&mut self, now: Instant) -> Vec<Job<T>> {
        let (mut batch, mut rows) = (Vec::new(), 0);
        while rows < BATCH_ROWS
            && let Some(job) = self.free.pop_front()
        {
            rows += job.command.rows();
            self.busy.entry(job.match_id().clone()).or_default();
            batch.push(job);
        }
        self.rows -= rows;
        self.len -= batch.len();
        self.waited = batch.first().map_or(Duration::ZERO, |oldest| now.saturating_duration_since(oldest.queued_at));
        let behind = std::mem::take(&mut self.free);
        for job in behind {
            match self.busy.get_mut(job.match_id()) {
                Some(behind) => {
                    self.rows -= job.command.rows();
                    behind.push_back(job);
                }
                None => self.free.push_back(job),
            }
        }
        batch
    }

    /// Nothing of these matches is being committed any more.
    pub(super) fn release(&mut self, matches: &BTreeSet<MatchId>) {
        for id in matches {
            for job in self.busy.remove(id).into_iter().flatten() {
                self.push_free(job);
            }
        }
    }

    /// Since when the oldest command waits that a batch may take.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.free.front().map(|job| job.queued_at)
    }

    /// Whether there is nothing for a batch.
    pub(super) fn is_empty(&self) -> bool {
        self.free.is_empty()
    }

    /// Whether there is enough for a batch that takes no more.
    pub(super) fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS
    }

    fn push_free(&mut self, job: Job<T>) {
        self.rows += job.command.rows();
        self.free.push_back(job);
    }
}

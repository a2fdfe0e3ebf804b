//! Requests that wait: bounded by number, by bytes and by time, so that overload is refused at once. Pure.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use proto::MatchId;

use super::Refused;
use crate::batch::Request;

/// Requests that may wait in a replica.
pub(crate) const MAX_WAITING: usize = 4_096;
/// What the requests of a replica, waiting or being committed, may weigh together.
pub(crate) const MAX_WAITING_KIB: usize = 128 * 1024;
/// A batch takes waiting requests until it has this many drafts.
pub const BATCH_DRAFTS: usize = 200;
/// While the requests that are taken had to wait for longer than this, new ones are refused. Below the 400 ms after
/// which a gateway asks again: what is answered later is work for nobody, and its repeat comes on top.
const MAX_WAIT: Duration = Duration::from_millis(250);

/// A request with whatever belongs to whoever waits for it.
#[derive(Debug)]
pub struct Job<T> {
    /// What is asked.
    pub request: Request,
    /// When nobody waits any more.
    pub deadline: Instant,
    /// Who waits.
    pub ticket: T,
    queued_at: Instant,
    weight: Option<Weight>,
}

/// The weight of a request, as long as it lives.
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
    pub(super) fn new(request: Request, ticket: T, deadline: Instant, now: Instant) -> Self {
        Self { request, deadline, ticket, queued_at: now, weight: None }
    }
}

/// The line.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    /// Those that the next batch may take.
    free: VecDeque<Job<T>>,
    /// The drafts of these.
    drafts: usize,
    /// The matches that are being committed, each with the requests that wait for that.
    busy: HashMap<MatchId, VecDeque<Job<T>>>,
    /// How many requests wait, free or not.
    len: usize,
    total_kib: Arc<AtomicUsize>,
    /// How long the oldest request of the batch that was taken last had waited.
    waited: Duration,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        let (free, busy, total_kib) = (VecDeque::new(), HashMap::new(), Arc::default());
        Self { free, drafts: 0, busy, len: 0, total_kib, waited: Duration::ZERO }
    }
}

impl<T> Waiting<T> {
    /// Puts a request at the end, unless too much waits.
    pub(super) fn push(&mut self, mut job: Job<T>) -> Result<(), Refused> {
        let kib = kib(&job.request);
        // A single batch is no backlog, however long the lanes were held up.
        let is_too_long = self.drafts > BATCH_DRAFTS && self.waited > MAX_WAIT;
        if is_too_long || self.len == MAX_WAITING || self.total_kib.load(Relaxed) + kib > MAX_WAITING_KIB {
            return Err(Refused::Full);
        }
        self.total_kib.fetch_add(kib, Relaxed);
        job.weight = Some(Weight { total_kib: Arc::clone(&self.total_kib), kib });
        self.len += 1;
        match self.busy.get_mut(&job.request.match_id) {
            Some(behind) => behind.push_back(job),
            None => self.push_free(job),
        }
        Ok(())
    }

    /// Takes a batch, whose matches are busy until they are released.
    pub(super) fn take(&mut self, now: Instant) -> Vec<Job<T>> {
        let (mut batch, mut drafts) = (Vec::new(), 0);
        while drafts < BATCH_DRAFTS
            && let Some(job) = self.free.pop_front()
        {
            drafts += job.request.drafts.len();
            self.busy.entry(job.request.match_id.clone()).or_default();
            batch.push(job);
        }
        self.drafts -= drafts;
        self.len -= batch.len();
        self.waited = batch.first().map_or(Duration::ZERO, |oldest| now.saturating_duration_since(oldest.queued_at));
        let behind = std::mem::take(&mut self.free);
        for job in behind {
            match self.busy.get_mut(&job.request.match_id) {
                Some(behind) => {
                    self.drafts -= job.request.drafts.len();
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

    /// Since when the oldest request waits that a batch may take.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.free.front().map(|job| job.queued_at)
    }

    /// Whether there is nothing for a batch.
    pub(super) fn is_empty(&self) -> bool {
        self.free.is_empty()
    }

    /// Whether there is enough for a batch that takes no more.
    pub(super) fn is_full(&self) -> bool {
        self.drafts >= BATCH_DRAFTS
    }

    fn push_free(&mut self, job: Job<T>) {
        self.drafts += job.request.drafts.len();
        self.free.push_back(job);
    }
}

fn kib(request: &Request) -> usize {
    let bytes: usize = request.drafts.iter().map(|draft| draft.body.len()).sum();
    bytes / 1024 + 1
}

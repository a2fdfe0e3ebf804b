//! What waits for a lane: bounded by number, by bytes and by time, so that overload is refused at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use proto::{MatchId, chat::SendResult};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::Instant,
};
use tracing::Span;

use super::Refused;
use crate::{batch::Request, members::Pair, metrics::Metrics};

/// Requests that may wait for one lane.
pub(super) const MAX_WAITING: usize = 1024;
/// What the requests of one lane, waiting or being committed, may weigh together.
pub(super) const MAX_WAITING_KIB: usize = 32 * 1024;
/// A batch takes waiting requests until it has this many drafts.
pub(super) const BATCH_DRAFTS: usize = 200;
/// While the requests that a lane takes had to wait for longer than this, new ones are refused. Below the 400 ms after which
/// a gateway asks again: what is answered later is work for nobody, and its repeat comes on top.
const MAX_WAIT: Duration = Duration::from_millis(250);

/// A request with whoever waits for its answer.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) request: Request,
    pub(super) deadline: Instant,
    pub(super) span: Span,
    queued_at: Instant,
    pair: Pair,
    answer: oneshot::Sender<Vec<SendResult>>,
    _weight: OwnedSemaphorePermit,
    _counted: Counted,
}

/// The way into a queue.
#[derive(Debug)]
pub(super) struct Handle {
    jobs: mpsc::Sender<Job>,
    weight: Arc<Semaphore>,
    backlog: Arc<Backlog>,
    metrics: Metrics,
}

/// The waiting requests of a lane.
#[derive(Debug)]
pub(super) struct Queue {
    jobs: mpsc::Receiver<Job>,
    backlog: Arc<Backlog>,
}

/// How far a lane is behind.
#[derive(Debug, Default)]
struct Backlog {
    /// Drafts that wait.
    drafts: AtomicUsize,
    /// How long the oldest request of the batch that was taken last had waited, in milliseconds.
    waited_ms: AtomicU64,
}

impl Backlog {
    /// A single batch is no backlog, however long the lane was held up.
    fn is_too_long(&self) -> bool {
        self.drafts.load(Relaxed) > BATCH_DRAFTS && self.waited_ms.load(Relaxed) > ms(MAX_WAIT)
    }

    fn grew(&self, job: &Job) {
        self.drafts.fetch_add(job.request.drafts.len(), Relaxed);
    }

    fn shrank(&self, batch: &[Job]) {
        let drafts = batch.iter().map(|job| job.request.drafts.len()).sum();
        self.drafts.fetch_sub(drafts, Relaxed);
        let waited = batch.first().map_or(Duration::ZERO, |oldest| oldest.queued_at.elapsed());
        self.waited_ms.store(ms(waited), Relaxed);
    }
}

/// Counts a request in the queue depth as long as it lives.
#[derive(Debug)]
struct Counted(Metrics);

pub(super) fn bounded(metrics: Metrics) -> (Handle, Queue) {
    let (sender, jobs) = mpsc::channel(MAX_WAITING);
    let backlog = Arc::new(Backlog::default());
    let weight = Arc::new(Semaphore::new(MAX_WAITING_KIB));
    (Handle { jobs: sender, weight, backlog: Arc::clone(&backlog), metrics }, Queue { jobs, backlog })
}

impl Handle {
    /// Puts a request at the end, in the current span, unless too much waits.
    pub(super) fn push(
        &self,
        request: Request,
        pair: Pair,
        deadline: Instant,
        answer: oneshot::Sender<Vec<SendResult>>,
    ) -> Result<(), Refused> {
        if self.backlog.is_too_long() {
            return Err(Refused::Full);
        }
        let weight = self.weight.clone().try_acquire_many_owned(weight_kib(&request)).map_err(|_| Refused::Full)?;
        let counted = Counted::new(&self.metrics);
        let (span, queued_at) = (Span::current(), Instant::now());
        let job = Job { request, deadline, span, queued_at, pair, answer, _weight: weight, _counted: counted };
        let place = self.jobs.try_reserve().map_err(|error| match error {
            mpsc::error::TrySendError::Full(()) => Refused::Full,
            mpsc::error::TrySendError::Closed(()) => Refused::Away,
        })?;
        self.backlog.grew(&job);
        place.send(job);
        Ok(())
    }
}

impl Queue {
    /// Waits for a request and takes with it what else is waiting; `None` when nobody can send any more.
    pub(super) async fn next_batch(&mut self) -> Option<Vec<Job>> {
        let first = self.jobs.recv().await?;
        let mut drafts = first.request.drafts.len();
        let mut batch = vec![first];
        while drafts < BATCH_DRAFTS
            && let Ok(job) = self.jobs.try_recv()
        {
            drafts += job.request.drafts.len();
            batch.push(job);
        }
        self.backlog.shrank(&batch);
        Some(batch)
    }
}

impl Job {
    /// Whether nobody waits any more.
    pub(super) fn is_expired(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Answers; returns whom its messages concern, and the trace that they belong to.
    pub(super) fn answer(self, results: Vec<SendResult>) -> (MatchId, (Pair, Span)) {
        // Who has stopped waiting has answered for itself.
        let _ = self.answer.send(results);
        (self.request.match_id, (self.pair, self.span))
    }
}

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

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn weight_kib(request: &Request) -> u32 {
    let bytes: usize = request.drafts.iter().map(|draft| draft.body.len()).sum();
    u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proto::{ClientId, UserId};

    use super::*;
    use crate::room::{Author, Draft};

    fn push(handle: &Handle, drafts: usize, bytes: usize) -> Result<(), Refused> {
        let draft = Draft { client_id: ClientId::new("a").unwrap(), body: "x".repeat(bytes), names: Vec::new() };
        let author = Author { id: UserId::new("alice").unwrap(), origin: None, by_rest: false };
        let request = Request { match_id: MatchId::new("demo").unwrap(), author, drafts: vec![draft; drafts] };
        let (answer, _) = oneshot::channel();
        handle.push(request, [].into(), Instant::now(), answer)
    }

    #[tokio::test]
    async fn a_batch_takes_what_waits_up_to_its_size() {
        let (handle, mut queue) = bounded(Metrics::new());
        for _ in 0..5 {
            push(&handle, 80, 1).unwrap();
        }
        assert_eq!(queue.next_batch().await.unwrap().len(), 3);
        assert_eq!(queue.next_batch().await.unwrap().len(), 2);
        drop(handle);
        assert!(queue.next_batch().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_that_is_behind_refuses_until_it_has_caught_up() {
        let (handle, mut queue) = bounded(Metrics::new());
        for _ in 0..3 {
            push(&handle, BATCH_DRAFTS, 1).unwrap();
        }
        tokio::time::advance(MAX_WAIT * 2).await;
        queue.next_batch().await.unwrap();
        assert_eq!(push(&handle, 1, 1), Err(Refused::Full));
        // The last batch is no backlog.
        queue.next_batch().await.unwrap();
        assert_eq!(push(&handle, 1, 1), Ok(()));
    }

    #[tokio::test]
    async fn too_many_requests_are_refused_until_some_are_taken() {
        let (handle, mut queue) = bounded(Metrics::new());
        for _ in 0..MAX_WAITING {
            push(&handle, 1, 1).unwrap();
        }
        assert_eq!(push(&handle, 1, 1), Err(Refused::Full));
        queue.next_batch().await.unwrap();
        assert_eq!(push(&handle, 1, 1), Ok(()));
    }

    #[tokio::test]
    async fn too_many_bytes_are_refused_until_some_are_answered() {
        let (handle, mut queue) = bounded(Metrics::new());
        push(&handle, 1, (MAX_WAITING_KIB - 1) * 1024).unwrap();
        assert_eq!(push(&handle, 1, 1024), Err(Refused::Full));
        let batch = queue.next_batch().await.unwrap();
        assert_eq!(push(&handle, 1, 1024), Err(Refused::Full));
        drop(batch);
        assert_eq!(push(&handle, 1, 1024), Ok(()));
    }
}

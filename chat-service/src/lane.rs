//! Lanes: each commits one batch at a time. What waits meanwhile is the next batch, so nothing waits for a timer.

mod link;
mod part;
mod publisher;
mod queue;
mod singly;
mod transaction;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use proto::{MatchId, chat::SendResult, partition};
use service_kit::{
    Lifecycle,
    bus::Bus,
    mutation::{self, Mutation},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{Span, error};

use crate::{
    batch::{self, Decision, Request},
    inbox::Inbox,
    members::Pair,
    metrics::Metrics,
    posted::Posted,
    room::unavailable,
    store::{Store, TripError},
};
use link::Link;
use part::Part;
use publisher::Run;
use queue::Queue;

/// Between two attempts that lost to another transaction: up to this long, at random.
const MAX_CONTENTION_PAUSE_MS: u64 = 8;
/// Only for [`Mutation::CrashAfterCommit`]: the message that completes the milestone that there is unless configured otherwise.
const COMPLETING_SEQ: i64 = 100;

/// Why a lane did not take a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Too much waits already.
    Full,
    /// The outcome is unknown, or PostgreSQL is away.
    Away,
}

/// What all lanes share.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) bus: Bus,
    pub(crate) posted: Posted,
    pub(crate) metrics: Metrics,
}

/// The way into the lanes. When it is dropped they finish what they have and end.
#[derive(Debug)]
pub(crate) struct Lanes {
    queues: Vec<queue::Handle>,
}

impl Lanes {
    /// Starts `count` lanes. The token is cancelled when the last of them has ended.
    pub(crate) fn start(count: u16, shared: &Shared, lifecycle: &Lifecycle) -> (Self, CancellationToken) {
        let ended = CancellationToken::new();
        let alive = Arc::new(ended.clone().drop_guard());
        let queues = (0..count.max(1)).map(|_| {
            let (handle, queue) = queue::bounded(shared.metrics.clone());
            let (events, published) = mpsc::channel(publisher::CAPACITY);
            lifecycle.spawn_essential("inbox", publisher::run(published, Inbox::new(shared), shared.bus.clone()));
            let lane = Lane {
                queue,
                link: Link::new(shared.store.clone(), lifecycle.clone()),
                events,
                posted: shared.posted.clone(),
                metrics: shared.metrics.clone(),
                _alive: alive.clone(),
            };
            lifecycle.spawn_essential("lane", lane.run());
            handle
        });
        (Self { queues: queues.collect() }, ended)
    }

    /// The most requests that the lanes hold, waiting and in a batch, and the KiB of these together.
    pub(crate) fn capacity(&self) -> (usize, usize) {
        let lanes = self.queues.len();
        (lanes * (queue::MAX_WAITING + queue::BATCH_DRAFTS), lanes * queue::MAX_WAITING_KIB)
    }

    /// Commits the drafts of a request before its deadline; one match always takes the same lane.
    pub(crate) async fn commit(
        &self,
        request: Request,
        pair: Pair,
        deadline: Instant,
    ) -> Result<Vec<SendResult>, Refused> {
        let (answer, results) = oneshot::channel();
        let queue = self.queues.get(lane_of(&request.match_id, self.queues.len())).ok_or(Refused::Away)?;
        queue.push(request, pair, deadline, answer)?;
        results.await.map_err(|_| Refused::Away)
    }
}

/// The lane of a match among `lanes`: by the bits of its hash that follow those of its partition, as the higher ones hardly tell ids
/// apart that differ in their last characters only.
fn lane_of(id: &MatchId, lanes: usize) -> usize {
    let hash = partition::fnv1a(id.as_str().as_bytes()) / u64::from(partition::PARTITIONS);
    usize::try_from(hash % lanes as u64).unwrap_or(0)
}

struct Lane {
    queue: Queue,
    link: Link,
    events: mpsc::Sender<Vec<Run>>,
    posted: Posted,
    metrics: Metrics,
    _alive: Arc<DropGuard>,
}

/// What to do after an attempt that failed.
enum Next {
    /// The same once more.
    Again(Part),
    /// These, or nothing when the jobs are answered.
    Parts(Vec<Part>),
    /// The drafts of this one request, one by one.
    Singly(Part),
}

impl Lane {
    async fn run(mut self) {
        while let Some(jobs) = self.queue.next_batch().await {
            let mut parts = VecDeque::from([Part::first(jobs)]);
            while let Some(part) = parts.pop_front() {
                parts.extend(self.commit(part).await);
            }
        }
    }

    /// Commits a part and answers its jobs. Returns what must be tried in smaller parts.
    async fn commit(&mut self, mut part: Part) -> Vec<Part> {
        // Jobs whose deadline has passed are dropped unanswered.
        while let Some(deadline) = part.drop_expired() {
            let Some(session) = self.link.session(deadline).await else {
                self.metrics.commit_failed("away");
                part.answer(&unavailable());
                break;
            };
            let started = Instant::now();
            let spans = part.spans();
            let outcome = transaction::commit(session, &part.requests(), part.locked, deadline).await;
            drop(spans);
            match outcome {
                Ok(decision) => {
                    self.metrics.committed(decision.rows.len(), started.elapsed());
                    self.finish(part, decision).await;
                    break;
                }
                Err(error) => match self.after(error, part).await {
                    Next::Again(same) => part = same,
                    Next::Parts(parts) => return parts,
                    Next::Singly(part) => {
                        self.commit_singly(part, deadline).await;
                        break;
                    }
                },
            }
        }
        Vec::new()
    }

    /// What helps after an attempt that failed.
    async fn after(&mut self, error: TripError, mut part: Part) -> Next {
        self.metrics.commit_failed(reason(error));
        match error {
            TripError::Expired => return Next::Again(part),
            TripError::Contended => {
                part.locked = true;
                sleep(Duration::from_millis(fastrand::u64(1..=MAX_CONTENTION_PAUSE_MS))).await;
                return Next::Again(part);
            }
            TripError::Lost => {
                self.link.lose();
                self.posted.missed();
                (part.locked, part.recovering) = (true, true);
                return Next::Again(part);
            }
            TripError::Stalled | TripError::Broken | TripError::Duplicate if part.ids().len() > 1 => {
                return Next::Parts(part.split());
            }
            TripError::Stalled | TripError::Refused => part.answer(&unavailable()),
            TripError::Broken | TripError::Duplicate if part.jobs.len() > 1 => {
                return Next::Parts(part.split_requests());
            }
            TripError::Broken | TripError::Duplicate => {
                error!(matches = ?part.ids(), "PostgreSQL will never take some of this");
                return Next::Singly(part);
            }
        }
        Next::Parts(Vec::new())
    }

    async fn commit_singly(&mut self, part: Part, deadline: Instant) {
        let Some(session) = self.link.session(deadline).await else {
            return part.answer(&unavailable());
        };
        let Some(request) = part.requests().first().copied() else { return };
        let started = Instant::now();
        let (decision, ended) = singly::commit(session, request, deadline).await;
        self.metrics.committed(decision.rows.len(), started.elapsed());
        if let Some(error) = ended {
            self.metrics.commit_failed(reason(error));
            if error == TripError::Lost {
                self.link.lose();
                self.posted.missed();
            }
        }
        self.finish(part, decision).await;
    }

    /// The acks first; then everybody else hears of it.
    async fn finish(&self, part: Part, decision: Decision) {
        let mut sources: BTreeMap<MatchId, (Pair, Span)> = BTreeMap::new();
        for (job, results) in part.jobs.into_iter().zip(decision.results) {
            let (id, source) = job.answer(results);
            sources.entry(id).or_insert(source);
        }
        if mutation::is_broken(Mutation::CrashAfterCommit)
            && decision.rows.iter().any(|row| row.message.seq == COMPLETING_SEQ)
        {
            mutation::crash(Mutation::CrashAfterCommit).await;
        }
        for message in &decision.repeated {
            // Whoever committed it may have died before it could tell.
            if let Some((id, (_, span))) = sources.get_key_value(message.match_id.as_str()) {
                self.posted.moved((id, message.seq), None, span);
            }
        }
        let stored = decision.rows.into_iter().map(|row| row.message);
        let unheard = if part.recovering { decision.repeated } else { Vec::new() };
        let mut runs = Vec::new();
        for messages in batch::runs(stored.chain(unheard).collect()) {
            let Some(last) = messages.last() else { continue };
            let Some((id, (pair, span))) = sources.get_key_value(last.match_id.as_str()) else { continue };
            self.posted.moved((id, last.seq), Some(last.created_at_ms), span);
            runs.push(Run { members: pair.clone(), span: span.clone(), messages });
        }
        if !runs.is_empty() && self.events.try_send(runs).is_err() {
            // The gateways see the gap and read what they missed.
            self.metrics.publish_failed("inbox");
        }
    }
}

fn reason(error: TripError) -> &'static str {
    match error {
        TripError::Duplicate => "duplicate",
        TripError::Contended => "contended",
        TripError::Stalled => "stalled",
        TripError::Lost => "lost",
        TripError::Refused => "refused",
        TripError::Broken => "broken",
        TripError::Expired => "expired",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_spread_over_the_lanes_also_when_their_ids_are_numbered() {
        for (prefix, count) in [("m", 10_000), ("match-00000", 1_000), ("load-", 500)] {
            let mut taken = [0; 4];
            for number in 0..count {
                taken[lane_of(&MatchId::new(format!("{prefix}{number}")).unwrap(), taken.len())] += 1;
            }
            assert!(taken.iter().all(|matches| (count / 5..=count / 3).contains(matches)), "{prefix}: {taken:?}");
        }
    }
}

//! The stream of commits, for whoever counts: at least once, off the way of the acks, repaired when NATS forgot or a
//! replica died.
//!
//! Each event carries a watermark T: of everything that was committed before T, by whichever replica, an event is
//! stored. Each replica knows this of its own commits and announces it every 500 ms; T is the least of what all
//! replicas say, those included that have died since, until the others have looked for what these left behind. So who
//! starts, with nobody else there to ask, looks for commits from the newest event's T on. All these are times of the
//! database's clock, of before the COMMIT; a minute of overlap makes up for transactions that take their time, and for
//! another clock after a promotion.

mod backlog;
mod pending;
mod repair;
mod stream;

use std::{
    collections::{BTreeSet, HashMap},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use proto::{
    MatchId,
    chat::{Head, MessagesCommitted},
    partition,
};
use service_kit::{
    bus::{Bus, BusError},
    outage::Outage,
};
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, info, info_span, warn};

use crate::{lane, metrics::Metrics, store::Store};
pub use backlog::Backlog;
pub use pending::Moved;
pub use repair::{Repair, Scope};
use stream::Stream;

/// Heads in one message, about 80 KB.
const CHUNK: usize = 1_000;
/// How often to look whether the stream is still there and still the same.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// After an event was stored: how long commits gather for the next one. The first commit after quiet is published at
/// once.
const GATHER: Duration = Duration::from_millis(200);
const MAX_PAUSE: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// How often a repair tries to get rid of the same heads before the stream is looked at again: it may have vanished.
const REPAIR_TRIES: usize = 5;
/// At a stop: how long to try to get rid of what waits. A start repairs the rest.
const LAST_TRY: Duration = Duration::from_secs(5);

/// Where the lanes say what they committed, and the other replicas what they published. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Posted {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    backlog: Mutex<Backlog>,
    changed: Notify,
}

impl Posted {
    /// A match has come to `last_seq`, by a COMMIT that belongs to the trace of `span`; `committed_ms` is its time if
    /// it was this replica's. Never waits.
    pub(crate) fn moved(&self, head: (&MatchId, i64), committed_ms: Option<i64>, span: &Span) {
        self.backlog().add(head, committed_ms, Some(span));
        self.shared.changed.notify_one();
    }

    /// Something may have been committed of which nobody can tell now: the database is scanned for it.
    pub(crate) fn missed(&self) {
        self.backlog().owe_own();
        self.shared.changed.notify_one();
    }

    /// It is `now_ms` by the database's clock.
    pub(crate) fn note_time(&self, now_ms: i64) {
        self.backlog().note_time(now_ms);
    }

    /// Before this time of the database everything that this replica committed is published.
    pub(crate) fn published_ms(&self) -> i64 {
        self.backlog().published_ms()
    }

    /// The other replicas have published everything of before this time; `None` when there are none.
    pub(crate) fn note_peers(&self, published_ms: Option<i64>) {
        self.backlog().note_peers(published_ms);
    }

    /// A replica died that may have committed since then what it did not publish.
    pub(crate) fn lost_peer(&self, since_ms: i64) {
        self.backlog().owe(Repair { since_ms, of: Scope::OwnedPartitions });
        self.shared.changed.notify_one();
    }

    /// Whether this replica knows who else is there.
    pub(crate) fn note_settled(&self, is_settled: bool) {
        if self.backlog().note_settled(is_settled) {
            self.shared.changed.notify_one();
        }
    }

    /// This replica owns these partitions. Nothing is published before it owns any.
    pub(crate) fn note_owned(&self, partitions: &BTreeSet<u8>) {
        let mut backlog = self.backlog();
        if backlog.owned.as_ref() != Some(partitions) {
            backlog.owned = Some(partitions.clone());
            self.shared.changed.notify_one();
        }
    }

    /// The partitions that this replica owns.
    pub(crate) fn owned(&self) -> BTreeSet<u8> {
        self.backlog().owned.clone().unwrap_or_default()
    }

    fn backlog(&self) -> MutexGuard<'_, Backlog> {
        self.shared.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Heads on their way to the stream. Unless cleared they wait again when this is dropped, as when the way is cut short.
struct Unstored<'a> {
    moved: Moved,
    posted: &'a Posted,
}

impl Drop for Unstored<'_> {
    fn drop(&mut self) {
        self.posted.backlog().put_back(&self.moved);
    }
}

/// Publishes what [`Posted`] hears.
#[derive(Debug)]
pub(crate) struct Publisher {
    posted: Posted,
    bus: Bus,
    store: Store,
    metrics: Metrics,
    stream: Stream,
    outage: Outage,
}

impl Publisher {
    pub(crate) fn new(shared: &lane::Shared) -> Self {
        let lane::Shared { store, bus, posted, metrics } = shared.clone();
        Self { posted, stream: Stream::new(&bus), bus, store, metrics, outage: Outage::default() }
    }

    /// Publishes until `lanes_ended`, and then what is left. True when nothing is.
    pub(crate) async fn run(mut self, lanes_ended: CancellationToken) -> bool {
        lanes_ended.run_until_cancelled(self.publish_for_ever()).await;
        self.finish().await
    }

    async fn publish_for_ever(&mut self) {
        // Before it knows who else is there it could vouch for nothing.
        while self.posted.backlog().owned.is_none() {
            self.posted.shared.changed.notified().await;
        }
        let mut disturbances = self.bus.disturbances();
        let mut checked: Option<Instant> = None;
        let mut pause = FIRST_PAUSE;
        loop {
            let is_due = checked.is_none_or(|at| at.elapsed() >= CHECK_INTERVAL);
            if is_due && self.check().await {
                checked = Some(Instant::now());
            }
            // Into a stream that may be another one nothing is published before it was looked at.
            let is_whole = checked.is_some() && self.repair().await;
            let is_done = checked.is_some() && self.publish_all().await && is_whole;
            // At the latest the stream is to be looked at, or what failed is tried again.
            let wait = if is_done { CHECK_INTERVAL } else { pause };
            pause = if is_done { FIRST_PAUSE } else { (pause * 2).min(MAX_PAUSE) };
            checked = checked.filter(|_| is_done);
            if is_done {
                if self.outage.ends() {
                    info!("the stream of commits takes everything again");
                }
                sleep(GATHER).await;
            }
            tokio::select! {
                // A server that came back may have lost everything.
                _ = disturbances.changed() => checked = None,
                () = self.posted.shared.changed.notified(), if is_done => {}
                () = sleep(wait) => {}
            }
        }
    }

    /// Makes sure of the stream, and finds out what it lacks. False when that must be tried again.
    async fn check(&mut self) -> bool {
        match self.stream.ensure().await {
            Ok(lacks_since_ms) => {
                self.posted.backlog().looked(lacks_since_ms);
                true
            }
            Err(error) => {
                if self.outage.begins() {
                    warn!(%error, "the stream of commits is not available");
                }
                false
            }
        }
    }

    /// Publishes what the stream may lack. False when that must be tried again.
    async fn repair(&self) -> bool {
        let repair = self.posted.backlog().begin_repair();
        let Some(repair) = repair else { return true };
        let (sender, chunks) = mpsc::channel(1);
        let scan = async {
            let scanned = if repair.is_of_everything() {
                self.store.all_heads(CHUNK, &sender).await
            } else {
                self.store.heads_moved_since(repair.oldest_ms(), CHUNK, &sender).await
            };
            drop(sender);
            scanned
        };
        match tokio::join!(scan, self.publish_scanned(repair.of, chunks)) {
            (Ok(()), Some(matches)) => {
                info!(matches, since_ms = repair.since_ms, "the stream of commits was repaired");
                self.posted.backlog().end_repair();
                // More may have come to be owed.
                self.posted.shared.changed.notify_one();
                return true;
            }
            (Err(error), _) if self.outage.begins() => warn!(%error, "the stream of commits could not be repaired yet"),
            (Ok(()), None) if self.outage.begins() => warn!("the stream of commits takes no repair yet"),
            _ => {}
        }
        false
    }

    /// How many of the heads were the repair's business; `None` when the stream does not store them.
    async fn publish_scanned(&self, of: Scope, mut chunks: mpsc::Receiver<Vec<(MatchId, i64)>>) -> Option<usize> {
        let owned = self.posted.owned();
        let is_wanted = |id: &MatchId| of == Scope::AllPartitions || owned.contains(&partition::of(id));
        let mut count = 0;
        while let Some(heads) = chunks.recv().await {
            for (id, seq) in heads.into_iter().filter(|(id, _)| is_wanted(id)) {
                count += 1;
                self.posted.backlog().add((&id, seq), None, None);
            }
            let mut tries = 1;
            while !self.publish_all().await {
                if tries == REPAIR_TRIES {
                    return None;
                }
                tries += 1;
                sleep(FIRST_PAUSE).await;
            }
        }
        Some(count)
    }

    /// Whether the stream has stored everything that waited.
    async fn publish_all(&self) -> bool {
        let moved = self.posted.backlog().take();
        let stored = moved.heads.is_empty() || self.publish(Unstored { moved, posted: &self.posted }).await;
        self.posted.backlog().rest();
        stored
    }

    async fn publish(&self, mut unstored: Unstored<'_>) -> bool {
        let parent = unstored.moved.span.as_ref().and_then(Span::id);
        let span = info_span!(parent: parent, "posted", otel.kind = "producer");
        let stored = self.publish_chunks(&unstored.moved.heads).instrument(span).await;
        match stored {
            Ok(()) => unstored.moved.heads.clear(),
            Err(error) => {
                warn!(%error, "the stream did not store an event; it is tried again");
                self.metrics.publish_failed("posted");
            }
        }
        stored.is_ok()
    }

    async fn publish_chunks(&self, heads: &HashMap<MatchId, i64>) -> Result<(), BusError> {
        let subject = self.bus.subjects().posted();
        let mut heads =
            heads.iter().map(|(id, seq)| Head { match_id: id.as_str().to_owned(), last_seq: *seq }).collect::<Vec<_>>();
        while !heads.is_empty() {
            let rest = heads.split_off(CHUNK.min(heads.len()));
            let chunk = mem::replace(&mut heads, rest);
            let event = MessagesCommitted { heads: chunk, watermark_ms: self.posted.backlog().watermark_ms() };
            self.bus.publish_durably(&subject, &event).await?;
        }
        Ok(())
    }

    async fn finish(&self) -> bool {
        let emptied = timeout(LAST_TRY, async {
            while !self.publish_all().await {
                sleep(FIRST_PAUSE).await;
            }
        });
        let is_empty = emptied.await.is_ok() && self.posted.backlog().is_empty();
        if !is_empty {
            warn!("some commits were not published; another replica or the next start repairs that");
        }
        is_empty
    }
}

//! The stream of commits, for whoever counts: at least once, off the way of the acks, repaired when NATS forgot.

mod pending;
mod repair;
mod stream;

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use proto::{
    MatchId,
    chat::{Head, MessagesCommitted},
};
use service_kit::{
    bus::{Bus, BusError},
    clock,
};
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, info, info_span, warn};

use crate::{lane::Shared, metrics::Metrics, store::Store};
use pending::{Moved, Pending};
use repair::Repair;
use stream::Stream;

/// Heads in one message, about 80 KB.
const CHUNK: usize = 1_000;
/// How often to look whether the stream is still there and still the same.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
const MAX_PAUSE: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// At a stop: how long to try to get rid of what waits. A start repairs the rest.
const LAST_TRY: Duration = Duration::from_secs(5);

/// Where the lanes say what they committed. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Posted {
    waiting: Arc<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    pending: Mutex<Pending>,
    /// The Unix time before which nothing was missed.
    missed_since_ms: Mutex<Option<i64>>,
    changed: Notify,
}

impl Posted {
    /// A match has come to `last_seq`, by a COMMIT that belongs to the trace of `span`. Never waits.
    pub(crate) fn moved(&self, id: &MatchId, last_seq: i64, span: &Span) {
        if !self.pending().add(id, last_seq, Some(span)) {
            self.missed();
        }
        self.waiting.changed.notify_one();
    }

    /// Something may have been committed of which nobody can tell now: the database is scanned for it.
    pub(crate) fn missed(&self) {
        self.missed_since().get_or_insert_with(clock::unix_ms);
    }

    fn missed_since(&self) -> MutexGuard<'_, Option<i64>> {
        self.waiting.missed_since_ms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.waiting.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Heads on their way to the stream. Unless cleared they wait again when this is dropped, as when the way is cut short.
struct Unstored<'a> {
    moved: Moved,
    posted: &'a Posted,
}

impl Drop for Unstored<'_> {
    fn drop(&mut self) {
        let fits = self.posted.pending().put_back(&self.moved);
        if !fits {
            self.posted.missed();
        }
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
    /// A repair that was not finished yet.
    owed: Option<Repair>,
}

impl Publisher {
    pub(crate) fn new(shared: &Shared) -> Self {
        let Shared { store, bus, posted, metrics } = shared.clone();
        Self { posted, stream: Stream::new(&bus), bus, store, metrics, owed: None }
    }

    /// Publishes until `lanes_ended`, and then what is left.
    pub(crate) async fn run(mut self, lanes_ended: CancellationToken) {
        let mut checked = None;
        let mut pause = FIRST_PAUSE;
        let until_ended = async {
            loop {
                let is_due = checked.is_none_or(|at: Instant| at.elapsed() >= CHECK_INTERVAL);
                if is_due && self.check().await {
                    checked = Some(Instant::now());
                }
                if self.publish_all().await && checked.is_some() {
                    pause = FIRST_PAUSE;
                    // Returns at the latest when the stream is to be looked at.
                    let _ = timeout(CHECK_INTERVAL, self.posted.waiting.changed.notified()).await;
                } else {
                    checked = None;
                    sleep(pause).await;
                    pause = (pause * 2).min(MAX_PAUSE);
                }
            }
        };
        lanes_ended.run_until_cancelled(until_ended).await;
        self.finish().await;
    }

    /// Makes sure of the stream, and repairs what it does not hold. False when that must be tried again.
    async fn check(&mut self) -> bool {
        // The earliest counts when several are owed.
        let missed = self.posted.missed_since().take().map(|last_ms| Repair::Since { last_ms });
        self.owed = repair::larger(self.owed, missed);
        match self.stream.ensure().await {
            Ok(found) => self.owed = repair::larger(self.owed, found),
            Err(error) => {
                warn!(%error, "the stream of commits is not available");
                return false;
            }
        }
        let Some(repair) = self.owed else { return true };
        match self.repair(repair).await {
            Ok(()) => {
                self.owed = None;
                true
            }
            Err(error) => {
                warn!(%error, "the stream of commits could not be repaired yet");
                false
            }
        }
    }

    /// Publishes the heads of the matches that moved lately anew: whoever counts takes the highest.
    async fn repair(&self, repair: Repair) -> anyhow::Result<()> {
        let since_ms = repair.since_ms(self.store.now_ms().await?);
        let (sender, mut chunks) = mpsc::channel(1);
        let scan = async {
            let scanned = self.store.heads_moved_since(since_ms, CHUNK, &sender).await;
            drop(sender);
            scanned
        };
        let publish = async {
            let mut count = 0;
            while let Some(heads) = chunks.recv().await {
                count += heads.len();
                for (id, seq) in heads {
                    self.posted.pending().add(&id, seq, None);
                }
                while !self.publish_all().await {
                    sleep(FIRST_PAUSE).await;
                }
            }
            count
        };
        let (scanned, matches) = tokio::join!(scan, publish);
        scanned?;
        info!(matches, since_ms, "the stream of commits was repaired");
        Ok(())
    }

    /// Whether the stream has stored everything that waited.
    async fn publish_all(&self) -> bool {
        let moved = self.posted.pending().take();
        let published = join_all(moved.into_iter().map(|(partition, moved)| self.publish(partition, moved))).await;
        published.into_iter().all(|stored| stored)
    }

    async fn publish(&self, partition: u8, moved: Moved) -> bool {
        let parent = moved.span.as_ref().and_then(Span::id);
        let span = info_span!(parent: parent, "posted", partition, otel.kind = "producer");
        let mut unstored = Unstored { moved, posted: &self.posted };
        let stored = self.publish_chunks(partition, &unstored.moved.heads).instrument(span).await;
        match stored {
            Ok(()) => unstored.moved.heads.clear(),
            Err(error) => {
                warn!(partition, %error, "the stream did not store an event; it is tried again");
                self.metrics.publish_failed("posted");
            }
        }
        stored.is_ok()
    }

    async fn publish_chunks(&self, partition: u8, heads: &HashMap<MatchId, i64>) -> Result<(), BusError> {
        let subject = self.bus.subjects().posted(partition);
        let mut heads =
            heads.iter().map(|(id, seq)| Head { match_id: id.as_str().to_owned(), last_seq: *seq }).collect::<Vec<_>>();
        while !heads.is_empty() {
            let rest = heads.split_off(CHUNK.min(heads.len()));
            let chunk = mem::replace(&mut heads, rest);
            // As long as any replica may commit for any partition, none can vouch for all of its commits.
            let event = MessagesCommitted { heads: chunk, watermark_ms: 0 };
            self.bus.publish_durably(&subject, &event).await?;
        }
        Ok(())
    }

    async fn finish(&self) {
        let emptied = timeout(LAST_TRY, async {
            while !self.publish_all().await {
                sleep(FIRST_PAUSE).await;
            }
        });
        if emptied.await.is_err() || !self.posted.pending().is_empty() {
            warn!("some commits were not published; the next start repairs that");
        }
    }
}

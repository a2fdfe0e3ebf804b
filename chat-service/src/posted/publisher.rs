//! Publishes what the lanes committed until the stream has stored it, and repairs what the stream may lack.

use std::{collections::HashMap, mem, time::Duration};

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
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, info, info_span, warn};

use super::{Moved, Posted, Scope, stream::Stream};
use crate::{metrics::Metrics, shared::Shared, store::Store};

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
    pub(crate) fn new(shared: &Shared) -> Self {
        let Shared { store, bus, posted, metrics, .. } = shared.clone();
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

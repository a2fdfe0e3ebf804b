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
mod publisher;
mod repair;
mod stream;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use proto::MatchId;
use tokio::sync::Notify;
use tracing::Span;

pub use backlog::Backlog;
pub use pending::Moved;
pub(crate) use publisher::Publisher;
pub use repair::{Repair, Scope};

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

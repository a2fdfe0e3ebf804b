//! What is committed and not published, and what may be said of everything before it. Pure.

use std::collections::BTreeSet;

use proto::MatchId;
use tracing::Span;

use super::{
    pending::Moved,
    repair::{Repair, Scope},
};

/// The state between the lanes, the publisher and the other replicas. Times are Unix times of the database.
#[derive(Debug, Default)]
pub struct Backlog {
    pending: Moved,
    /// The oldest commit that is being published now.
    in_flight_ms: Option<i64>,
    /// Commits that must be looked for.
    owed: Option<Repair>,
    /// Those that are being looked for.
    begun: Option<Repair>,
    /// The database's time at the last look.
    now_ms: i64,
    /// What the other replicas say of theirs.
    peers_ms: Option<i64>,
    /// Since when it does not hear them: one that nobody else heard may come and die meanwhile.
    deaf_since_ms: Option<i64>,
    /// The partitions that this replica owns, once it has come to own any.
    pub owned: Option<BTreeSet<u8>>,
    /// Whether the stream was ever looked at, and what it lacks is owed.
    has_looked: bool,
}

impl Backlog {
    /// Before this time everything that this replica committed, or has to look for, is published.
    pub fn published_ms(&self) -> i64 {
        let repairs = [self.owed, self.begun].into_iter().flatten().map(|repair| repair.since_ms);
        let unpublished = [self.pending.oldest_ms, self.in_flight_ms, self.deaf_since_ms].into_iter().flatten();
        repairs.chain(unpublished).fold(self.now_ms, i64::min)
    }

    /// Before this time everything is published, whoever committed it. Who has not looked at the stream can vouch for
    /// nothing.
    pub fn watermark_ms(&self) -> i64 {
        if self.has_looked { self.published_ms().min(self.peers_ms.unwrap_or(i64::MAX)) } else { 0 }
    }

    /// The stream was looked at; since when it lacks commits, if it does, of whatever replica.
    pub fn looked(&mut self, lacks_since_ms: Option<i64>) {
        self.has_looked = true;
        if let Some(since_ms) = lacks_since_ms {
            // Of all, not only of its share: once it vouches for the stream, who looks later finds nothing missing.
            self.owe(Repair { since_ms, of: Scope::AllPartitions });
        }
    }

    /// It is `now_ms` by the database's clock.
    pub fn note_time(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
    }

    /// The other replicas have published everything of before this time; `None` when there are none.
    pub fn note_peers(&mut self, published_ms: Option<i64>) {
        self.peers_ms = published_ms;
    }

    /// Whether it knows who else is there. When it knows again, commits must be looked for: true then.
    pub fn note_settled(&mut self, is_settled: bool) -> bool {
        if !is_settled {
            if self.owned.is_some() {
                self.deaf_since_ms.get_or_insert(self.now_ms);
            }
            return false;
        }
        let Some(since_ms) = self.deaf_since_ms.take() else { return false };
        self.owe(Repair { since_ms, of: Scope::OwnedPartitions });
        true
    }

    /// A head moved. `committed_ms` if this replica did it.
    pub fn add(&mut self, (id, last_seq): (&MatchId, i64), committed_ms: Option<i64>, span: Option<&Span>) {
        self.now_ms = committed_ms.unwrap_or(0).max(self.now_ms);
        if !self.pending.add((id, last_seq), committed_ms, span) {
            self.owe_own();
        }
    }

    /// Something of this replica's may have been committed of which nobody can tell now.
    pub fn owe_own(&mut self) {
        self.owe(Repair { since_ms: self.published_ms(), of: Scope::AllPartitions });
    }

    /// Commits must be looked for.
    pub fn owe(&mut self, repair: Repair) {
        self.owed = Some(repair.and(self.owed));
    }

    /// Begins the repair that is owed, together with one that was begun and not ended. What comes to be owed from now
    /// on it may not see: that is the next one's.
    pub fn begin_repair(&mut self) -> Option<Repair> {
        if let Some(owed) = self.owed.take() {
            self.begun = Some(owed.and(self.begun));
        }
        self.begun
    }

    /// The repair that was begun is done.
    pub fn end_repair(&mut self) {
        self.begun = None;
    }

    /// Takes what waits, to be published now. Nothing else is being published.
    pub fn take(&mut self) -> Moved {
        self.in_flight_ms = self.pending.oldest_ms;
        std::mem::take(&mut self.pending)
    }

    /// Puts back what was not published.
    pub fn put_back(&mut self, moved: &Moved) {
        if !self.pending.put_back(moved) {
            self.owe_own();
        }
    }

    /// Nothing is being published any more.
    pub fn rest(&mut self) {
        self.in_flight_ms = None;
    }

    /// Whether everything is published as far as is known.
    pub fn is_empty(&self) -> bool {
        self.pending.heads.is_empty() && self.owed.is_none() && self.begun.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> MatchId {
        MatchId::new("demo").unwrap()
    }

    #[test]
    fn the_watermark_stands_before_whatever_is_not_published() {
        let mut backlog = Backlog::default();
        backlog.note_time(1_000);
        assert_eq!(backlog.watermark_ms(), 0, "the stream was not looked at");
        backlog.looked(None);
        assert_eq!(backlog.watermark_ms(), 1_000);
        backlog.add((&id(), 7), Some(900), None);
        backlog.note_time(2_000);
        assert_eq!(backlog.watermark_ms(), 900);
        let taken = backlog.take();
        assert_eq!(backlog.watermark_ms(), 900, "while it is being published");
        backlog.put_back(&taken);
        backlog.rest();
        assert_eq!(backlog.watermark_ms(), 900, "it was not published");
        backlog.take();
        backlog.rest();
        assert_eq!((backlog.watermark_ms(), backlog.published_ms()), (2_000, 2_000));
    }

    #[test]
    fn a_replica_vouches_for_itself_and_for_no_more_than_the_others_say() {
        let mut backlog = Backlog::default();
        backlog.note_time(1_000);
        backlog.looked(None);
        backlog.note_peers(Some(800));
        assert_eq!((backlog.watermark_ms(), backlog.published_ms()), (800, 1_000));
        backlog.note_peers(None);
        assert_eq!(backlog.watermark_ms(), 1_000);
    }

    #[test]
    fn what_others_committed_does_not_hold_the_watermark() {
        let mut backlog = Backlog::default();
        backlog.note_time(1_000);
        backlog.looked(None);
        backlog.add((&id(), 7), None, None);
        assert_eq!(backlog.watermark_ms(), 1_000);
        assert!(!backlog.is_empty());
    }

    #[test]
    fn what_comes_to_be_owed_during_a_repair_is_owed_after_it() {
        let mut backlog = Backlog::default();
        backlog.note_time(1_000);
        let repair = Repair { since_ms: 500, of: Scope::AllPartitions };
        backlog.owe(repair);
        assert_eq!((backlog.begin_repair(), backlog.published_ms()), (Some(repair), 500));
        // The same again, of a commit that came after the database was read.
        backlog.owe_own();
        backlog.end_repair();
        assert_eq!((backlog.begin_repair(), backlog.published_ms()), (Some(repair), 500));
        backlog.end_repair();
        assert_eq!((backlog.begin_repair(), backlog.published_ms()), (None, 1_000));
    }

    #[test]
    fn a_repair_that_failed_is_begun_again_with_what_has_come_to_be_owed() {
        let mut backlog = Backlog::default();
        backlog.note_time(1_000);
        let of = Scope::OwnedPartitions;
        backlog.owe(Repair { since_ms: 500, of });
        backlog.begin_repair();
        backlog.owe(Repair { since_ms: 700, of });
        assert_eq!(backlog.begin_repair(), Some(Repair { since_ms: 500, of }));
        backlog.end_repair();
        assert!(backlog.is_empty());
    }

    #[test]
    fn who_was_deaf_vouches_for_that_time_when_it_has_looked() {
        let mut backlog = Backlog::default();
        backlog.looked(None);
        backlog.note_time(1_000);
        backlog.note_settled(false);
        assert_eq!(backlog.watermark_ms(), 1_000, "it only begins");
        backlog.owned = Some(BTreeSet::new());
        backlog.note_settled(true);
        backlog.note_settled(false);
        backlog.note_time(9_000);
        backlog.note_settled(false);
        assert_eq!((backlog.watermark_ms(), backlog.begin_repair()), (1_000, None));
        assert!(backlog.note_settled(true));
        let repair = Repair { since_ms: 1_000, of: Scope::OwnedPartitions };
        assert_eq!((backlog.watermark_ms(), backlog.begin_repair()), (1_000, Some(repair)));
        backlog.end_repair();
        assert_eq!(backlog.watermark_ms(), 9_000);
    }
}

//! Heads that the stream has not stored yet: the newest per match, bounded. Pure.

use std::collections::{BTreeMap, HashMap};

use proto::{MatchId, partition};
use tracing::Span;

/// Matches that may wait, about 15 MB. Those beyond are found again by a scan of the database.
const MAX_PENDING: usize = 100_000;

/// The waiting heads of one partition, with the trace of one of them.
#[derive(Debug, Default)]
pub struct Moved {
    /// The newest of each match.
    pub heads: HashMap<MatchId, i64>,
    /// When the oldest of those was committed that this replica committed.
    pub(super) oldest_ms: Option<i64>,
    pub(super) span: Option<Span>,
}

/// The waiting heads of all partitions.
#[derive(Debug, Default)]
pub(super) struct Pending {
    partitions: BTreeMap<u8, Moved>,
    len: usize,
}

impl Pending {
    /// Notes a head; an older one of the same match makes no difference. False when there is no room for it.
    ///
    /// `committed_ms` is the database's time of the commit, if this replica did it.
    pub(super) fn add(
        &mut self,
        (id, last_seq): (&MatchId, i64),
        committed_ms: Option<i64>,
        span: Option<&Span>,
    ) -> bool {
        let moved = self.partitions.entry(partition::of(id)).or_default();
        if let Some(seq) = moved.heads.get_mut(id) {
            *seq = last_seq.max(*seq);
        } else if self.len < MAX_PENDING {
            moved.heads.insert(id.clone(), last_seq);
            self.len += 1;
        } else {
            return false;
        }
        moved.oldest_ms = earliest(moved.oldest_ms, committed_ms);
        if moved.span.is_none() {
            moved.span = span.cloned();
        }
        true
    }

    /// Takes out everything that waits.
    pub(super) fn take(&mut self) -> BTreeMap<u8, Moved> {
        self.len = 0;
        std::mem::take(&mut self.partitions)
    }

    /// Puts back what the stream did not store. False when there was no room for all of it.
    pub(super) fn put_back(&mut self, moved: &Moved) -> bool {
        let add =
            |fits, (id, seq): (&MatchId, &i64)| self.add((id, *seq), moved.oldest_ms, moved.span.as_ref()) && fits;
        moved.heads.iter().fold(true, add)
    }

    /// When the oldest waiting commit of this replica was made.
    pub(super) fn oldest_ms(&self) -> Option<i64> {
        self.partitions.values().filter_map(|moved| moved.oldest_ms).min()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }
}

fn earliest(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    a.into_iter().chain(b).min()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(n: usize) -> MatchId {
        MatchId::new(format!("m{n}")).unwrap()
    }

    proptest! {
        #[test]
        fn the_newest_head_of_each_match_waits_whatever_was_put_back(
            moves in proptest::collection::vec((0..5_usize, 1..100_i64, any::<bool>()), 0..60),
        ) {
            let (mut pending, mut newest) = (Pending::default(), HashMap::new());
            for (n, seq, fails) in moves {
                pending.add((&id(n), seq), Some(seq), None);
                let best = newest.entry(id(n)).or_insert(seq);
                *best = seq.max(*best);
                if fails {
                    for moved in pending.take().into_values() {
                        pending.put_back(&moved);
                    }
                }
            }
            let taken: HashMap<_, _> = pending.take().into_values().flat_map(|moved| moved.heads).collect();
            prop_assert_eq!(taken, newest);
            prop_assert!(pending.is_empty());
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut pending = Pending::default();
        assert!((0..MAX_PENDING).all(|n| pending.add((&id(n), 1), None, None)));
        assert!(pending.add((&id(0), 2), None, None));
        assert!(!pending.add((&id(MAX_PENDING), 1), None, None));
    }
}

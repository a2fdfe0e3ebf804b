//! Heads that the stream has not stored yet: the newest per match, bounded. Pure.

use std::collections::HashMap;

use proto::MatchId;
use tracing::Span;

/// Matches that may wait, about 15 MB. Those beyond are found again by a scan of the database.
const MAX_PENDING: usize = 100_000;

/// The waiting heads, with the trace of one of them.
#[derive(Debug, Default)]
pub struct Moved {
    /// The newest of each match.
    pub heads: HashMap<MatchId, i64>,
    /// When the oldest of those was committed that this replica committed.
    pub(super) oldest_ms: Option<i64>,
    pub(super) span: Option<Span>,
}

impl Moved {
    /// Notes a head; an older one of the same match makes no difference. False when there is no room for it.
    ///
    /// `committed_ms` is the database's time of the commit, if this replica did it.
    pub(super) fn add(
        &mut self,
        (id, last_seq): (&MatchId, i64),
        committed_ms: Option<i64>,
        span: Option<&Span>,
    ) -> bool {
        if let Some(seq) = self.heads.get_mut(id) {
            *seq = last_seq.max(*seq);
        } else if self.heads.len() < MAX_PENDING {
            self.heads.insert(id.clone(), last_seq);
        } else {
            return false;
        }
        self.oldest_ms = self.oldest_ms.into_iter().chain(committed_ms).min();
        if self.span.is_none() {
            self.span = span.cloned();
        }
        true
    }

    /// Puts back what the stream did not store. False when there was no room for all of it.
    pub(super) fn put_back(&mut self, moved: &Self) -> bool {
        let add =
            |fits, (id, seq): (&MatchId, &i64)| self.add((id, *seq), moved.oldest_ms, moved.span.as_ref()) && fits;
        moved.heads.iter().fold(true, add)
    }
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
            let (mut pending, mut newest) = (Moved::default(), HashMap::new());
            for (n, seq, fails) in moves {
                pending.add((&id(n), seq), Some(seq), None);
                let best = newest.entry(id(n)).or_insert(seq);
                *best = seq.max(*best);
                if fails {
                    let moved = std::mem::take(&mut pending);
                    pending.put_back(&moved);
                }
            }
            prop_assert_eq!(pending.heads, newest);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut pending = Moved::default();
        assert!((0..MAX_PENDING).all(|n| pending.add((&id(n), 1), None, None)));
        assert!(pending.add((&id(0), 2), None, None));
        assert!(!pending.add((&id(MAX_PENDING), 1), None, None));
    }
}

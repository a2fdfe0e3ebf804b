//! Bytes that many holders may have together: each has a share that is its own, and takes the rest from one account.

use std::sync::atomic::{AtomicUsize, Ordering};

/// What one holder may always have, in bytes: most never have more, and change the common account never.
const SHARE: usize = 8 * 1024;

/// Bytes that all holders together may have above their shares.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    used: AtomicUsize,
}

/// What one holder has taken from a [`Budget`]. It must be [settled](Budget::settle) with 0 in the end.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Taken(u32);

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, used: AtomicUsize::new(0) }
    }

    /// A holder has `held` bytes now. False if it has taken more than before and that is not there: the holder is to
    /// give up.
    pub fn settle(&self, taken: &mut Taken, held: usize) -> bool {
        let before = std::mem::replace(taken, Taken(u32::try_from(held.saturating_sub(SHARE)).unwrap_or(u32::MAX)));
        let (before, after) = (before.0 as usize, taken.0 as usize);
        if after > before {
            let more = after - before;
            return self.used.fetch_add(more, Ordering::Relaxed) + more <= self.limit;
        }
        if after < before {
            self.used.fetch_sub(before - after, Ordering::Relaxed);
        }
        true
    }
}

/// A holder that gives back what it has taken when it is dropped.
#[derive(Debug)]
pub struct Holding<'a> {
    budget: &'a Budget,
    taken: Taken,
}

impl<'a> Holding<'a> {
    /// A holder of nothing.
    pub fn nothing(budget: &'a Budget) -> Self {
        Self { budget, taken: Taken::default() }
    }

    /// It has `held` bytes now; see [`Budget::settle`].
    pub fn settle(&mut self, held: usize) -> bool {
        self.budget.settle(&mut self.taken, held)
    }
}

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        self.settle(0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_share_is_free_and_what_is_more_is_taken_from_all() {
        let budget = Budget::new(10_000);
        let (mut first, mut second) = (Taken::default(), Taken::default());
        assert!(budget.settle(&mut first, SHARE + 9_000));
        assert!(!budget.settle(&mut second, SHARE + 1_001));
        assert!(budget.settle(&mut second, SHARE));
        assert!(budget.settle(&mut second, SHARE + 1_000));
        assert!(budget.settle(&mut first, 0));
        assert!(budget.settle(&mut second, SHARE + 10_000));
    }

    proptest! {
        #[test]
        fn nothing_is_left_when_all_have_settled(held in prop::collection::vec((0_usize..4, 0_usize..200_000), 0..100)) {
            let budget = Budget::new(100_000);
            let mut taken = [Taken::default(); 4];
            for (holder, held) in held {
                budget.settle(&mut taken[holder], held);
            }
            for taken in &mut taken {
                prop_assert!(budget.settle(taken, 0));
            }
            prop_assert_eq!(budget.used.into_inner(), 0);
        }
    }
}

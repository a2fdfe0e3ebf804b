//! What the stream may lack, and how far back to look for it. Pure.

/// How long before a time from which on commits may be missing one may be missing too: a transaction takes its time of
/// creation before it commits, and after a promotion the database's clock is another one.
const OVERLAP_MS: i64 = 60_000;

/// Commits that the stream may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repair {
    /// Those of this time of the database and later; 0 for all there ever were.
    pub since_ms: i64,
    /// Where they are looked for.
    pub of: Scope,
}

/// Where commits may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// In the partitions that this replica owns: the owners of the others look for theirs.
    OwnedPartitions,
    /// In whatever partition.
    AllPartitions,
}

impl Repair {
    /// Whether the stream has forgotten everything.
    pub fn is_of_everything(self) -> bool {
        self.since_ms == 0
    }

    /// The oldest commit to look at.
    pub fn oldest_ms(self) -> i64 {
        (self.since_ms - OVERLAP_MS).max(0)
    }

    /// The repair that includes both.
    pub(super) fn and(self, other: Option<Self>) -> Self {
        let Some(other) = other else { return self };
        let of = if other.of == self.of { self.of } else { Scope::AllPartitions };
        Self { since_ms: self.since_ms.min(other.since_ms), of }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repair_goes_back_as_far_as_events_may_be_missing() {
        let since = |since_ms| Repair { since_ms, of: Scope::OwnedPartitions };
        assert_eq!(since(1_000_000).oldest_ms(), 940_000);
        assert_eq!(since(0).oldest_ms(), 0);
        assert!(since(0).is_of_everything() && !since(1).is_of_everything());
    }

    #[test]
    fn of_two_repairs_the_one_is_done_that_includes_the_other() {
        let late = Repair { since_ms: 2, of: Scope::OwnedPartitions };
        let own = Repair { since_ms: 3, of: Scope::AllPartitions };
        assert_eq!(late.and(None), late);
        assert_eq!(late.and(Some(own)), Repair { since_ms: 2, of: Scope::AllPartitions });
        assert_eq!(late.and(Some(Repair { since_ms: 1, ..late })), Repair { since_ms: 1, ..late });
    }
}

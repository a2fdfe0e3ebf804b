//! What the stream may lack, and how far back to look for it. Pure.

/// How long before a time from which on commits may be missing one may be missing too: clocks differ, commits take time.
const OVERLAP_MS: i64 = 60_000;

/// What the stream may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repair {
    /// What was committed since a Unix time: that of its last event, or of a failure.
    Since {
        /// That time.
        last_ms: i64,
    },
    /// It is new or empty: everything that it would hold by now.
    All {
        /// How long it keeps an event.
        max_age_ms: i64,
    },
}

impl Repair {
    /// The oldest commit that it may lack.
    pub(super) fn since_ms(self, now_ms: i64) -> i64 {
        match self {
            Self::All { max_age_ms } => now_ms - max_age_ms,
            Self::Since { last_ms } => last_ms.min(now_ms) - OVERLAP_MS,
        }
    }
}

/// The repair that includes both.
pub(super) fn larger(a: Option<Repair>, b: Option<Repair>) -> Option<Repair> {
    match (a, b) {
        (Some(Repair::Since { last_ms: a }), Some(Repair::Since { last_ms: b })) => {
            Some(Repair::Since { last_ms: a.min(b) })
        }
        (Some(all @ Repair::All { .. }), _) | (_, Some(all @ Repair::All { .. })) => Some(all),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repair_goes_back_as_far_as_events_may_be_missing() {
        assert_eq!(Repair::All { max_age_ms: 500_000 }.since_ms(2_000_000), 1_500_000);
        assert_eq!(Repair::Since { last_ms: 1_000_000 }.since_ms(2_000_000), 940_000);
        assert_eq!(Repair::Since { last_ms: 3_000_000 }.since_ms(2_000_000), 1_940_000);
    }

    #[test]
    fn of_two_repairs_the_one_is_done_that_includes_the_other() {
        let (early, late) = (Some(Repair::Since { last_ms: 1 }), Some(Repair::Since { last_ms: 2 }));
        let all = Some(Repair::All { max_age_ms: 5 });
        for (a, b, both) in
            [(early, late, early), (late, early, early), (all, early, all), (None, all, all), (late, None, late)]
        {
            assert_eq!(larger(a, b), both);
        }
        assert_eq!(larger(None, None), None);
    }
}

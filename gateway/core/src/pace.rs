//! How soon a chat's healing asks for the next page. Pure: no IO, no clock.

use std::time::Duration;

/// The first pause; the following ones double up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(400);
/// With it, what was missed comes within a second of PostgreSQL's return.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A fetch that keeps failing is left to the next comparison of heads.
const MAX_FAILED: u32 = 12;
/// So is a head up to which chat-service has nothing to give, and of which it does not say that it has nothing.
const MAX_IDLE: u32 = 3;

/// What a fetch has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fetched {
    /// Messages that moved the cursor, or the end of the healing.
    Progress,
    /// Nothing that moved the cursor, although the chat's head is higher.
    Nothing,
    /// No answer.
    Failure,
}

/// The fetches of one healing.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    failed: u32,
    idle: u32,
}

impl Pace {
    /// The pause before the next fetch, none after progress; `None` when the rest is left to the next comparison of
    /// heads.
    pub(crate) fn after(&mut self, fetched: Fetched) -> Option<Duration> {
        let (count, most) = match fetched {
            Fetched::Progress => {
                *self = Self::default();
                return Some(Duration::ZERO);
            }
            Fetched::Nothing => (&mut self.idle, MAX_IDLE),
            Fetched::Failure => (&mut self.failed, MAX_FAILED),
        };
        *count += 1;
        let pause = || FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(*count - 1)).min(LONGEST_PAUSE);
        (*count <= most).then(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(fetched: Fetched) -> Vec<Duration> {
        let mut pace = Pace::default();
        std::iter::from_fn(|| pace.after(fetched)).collect()
    }

    #[test]
    fn fetches_that_bring_nothing_or_fail_have_pauses_between_them_and_an_end() {
        for (fetched, most) in [(Fetched::Nothing, MAX_IDLE), (Fetched::Failure, MAX_FAILED)] {
            let pauses = pauses(fetched);
            assert_eq!(pauses.len(), most as usize);
            assert_eq!((pauses[0], pauses[most as usize - 1]), (FIRST_PAUSE, LONGEST_PAUSE));
        }
    }

    #[test]
    fn after_progress_the_next_page_is_fetched_at_once_and_all_tries_are_left() {
        let mut pace = Pace::default();
        for _ in 0..MAX_FAILED {
            assert!(pace.after(Fetched::Failure).is_some());
        }
        assert_eq!(pace.after(Fetched::Progress), Some(Duration::ZERO));
        assert_eq!(pace.after(Fetched::Failure), Some(FIRST_PAUSE));
    }

    #[test]
    fn failures_between_answers_without_progress_do_not_renew_the_tries() {
        let mut pace = Pace::default();
        let both = |pace: &mut Pace| pace.after(Fetched::Nothing).and(pace.after(Fetched::Failure));
        let rounds = std::iter::from_fn(|| both(&mut pace)).take(100).count();
        assert_eq!(rounds, MAX_IDLE as usize);
    }
}

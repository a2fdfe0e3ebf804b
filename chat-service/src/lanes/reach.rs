//! When a lane without a connection tries to open one. Pure.

use std::time::{Duration, Instant};

/// How long a batch waits for a lost connection: a restart that is quicker goes unnoticed.
const GRACE: Duration = Duration::from_secs(2);
/// What a refusal needs to reach the gateway before the deadline.
const ANSWER_MARGIN: Duration = Duration::from_millis(150);
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// What a lane knows of whether PostgreSQL is there.
///
/// The first batch that finds the connection lost waits for it; those that follow are refused at once until it is back.
#[derive(Debug, Default)]
pub struct Reach {
    /// While PostgreSQL is known to be away: when to look again.
    next_attempt: Option<Instant>,
}

impl Reach {
    /// Until when a connection is waited for, if one is tried at all.
    pub fn try_until(&self, deadline: Instant, now: Instant) -> Option<Instant> {
        let is_due = self.next_attempt.is_none_or(|next| now >= next);
        is_due.then(|| (now + GRACE).min(deadline.checked_sub(ANSWER_MARGIN).unwrap_or(now)))
    }

    /// There is a connection. True when PostgreSQL was known to be away.
    pub fn reached(&mut self) -> bool {
        self.next_attempt.take().is_some()
    }

    /// There is none. The pause before the next attempt, or `None` when nobody waits for one.
    pub fn failed(&mut self, try_until: Instant, now: Instant) -> Option<Duration> {
        if self.next_attempt.is_none() && now + RETRY_PAUSE < try_until {
            return Some(RETRY_PAUSE);
        }
        self.next_attempt = Some(now + RETRY_PAUSE);
        None
    }

    /// Whether PostgreSQL is known to be away.
    pub fn is_away(&self) -> bool {
        self.next_attempt.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_batch_waits_for_a_connection_and_those_after_it_are_refused_until_it_is_back() {
        let (mut reach, start) = (Reach::default(), Instant::now());
        let deadline = start + GRACE * 2;
        let until = reach.try_until(deadline, start).unwrap();
        assert_eq!(until, start + GRACE);
        assert_eq!(reach.failed(until, start), Some(RETRY_PAUSE));
        assert_eq!(reach.failed(until, until), None);
        assert_eq!(reach.try_until(deadline, until), None);
        let again = reach.try_until(deadline, until + RETRY_PAUSE).unwrap();
        assert_eq!(reach.failed(again, until + RETRY_PAUSE), None, "one attempt");
        assert!(reach.reached() && !reach.is_away());
    }
}

//! Whether PostgreSQL is known to be away. Then one call at a time looks whether it is back, and the others fail at
//! once: a server that recovers has better things to do than to refuse hundreds of connections a second.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// After one attempt to connect while PostgreSQL is away, how long until the next.
const PAUSE: Duration = Duration::from_millis(100);

/// What the last attempt to connect came to. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Outage {
    /// While PostgreSQL is away: when to look again.
    next_attempt: Arc<Mutex<Option<Instant>>>,
}

impl Outage {
    /// Whether who needs a connection may open one. While PostgreSQL is away this is granted once a pause.
    pub(super) fn may_connect(&self, now: Instant) -> bool {
        let mut next_attempt = self.next_attempt.lock().unwrap_or_else(PoisonError::into_inner);
        match *next_attempt {
            None => true,
            Some(next) if now < next => false,
            Some(_) => {
                *next_attempt = Some(now + PAUSE);
                true
            }
        }
    }

    /// Somebody has a connection, or could not open one.
    pub(super) fn note(&self, connected: bool, now: Instant) {
        *self.next_attempt.lock().unwrap_or_else(PoisonError::into_inner) = (!connected).then(|| now + PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_it_is_away_one_attempt_a_pause_may_be_made() {
        let (outage, start) = (Outage::default(), Instant::now());
        assert!(outage.may_connect(start) && outage.may_connect(start));
        outage.note(false, start);
        let granted = (0..1_000).filter(|ms| outage.may_connect(start + Duration::from_millis(*ms)));
        assert_eq!(granted.collect::<Vec<_>>(), (1..10).map(|n| n * 100).collect::<Vec<_>>());
        outage.note(true, start);
        assert!(outage.may_connect(start) && outage.may_connect(start));
    }
}

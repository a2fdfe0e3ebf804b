//! Rates, and token buckets without a clock.

mod accounts;

pub use accounts::{Account, Accounts};

use std::{
    fmt,
    num::NonZeroU32,
    str::FromStr,
    time::{Duration, Instant},
};

use thiserror::Error;

/// So many a second in the long run, and so many at once; flags write it `20/40`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Tokens that come back each second.
    pub per_second: NonZeroU32,
    /// Tokens that a full bucket holds.
    pub burst: NonZeroU32,
}

/// Why a text is not a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a rate is PER_SECOND/BURST, two numbers above 0, e.g. 20/40")]
pub struct RateError;

impl Rate {
    /// So many a second, and so many at once.
    ///
    /// # Panics
    /// When one of them is 0.
    pub const fn new(per_second: u32, burst: u32) -> Self {
        match (NonZeroU32::new(per_second), NonZeroU32::new(burst)) {
            (Some(per_second), Some(burst)) => Self { per_second, burst },
            _ => panic!("a rate has no zeros"),
        }
    }

    /// The time in which one token comes back.
    pub fn interval(self) -> Duration {
        Duration::from_secs(1) / self.per_second.get()
    }

    /// The time in which an empty bucket fills.
    pub fn fill(self) -> Duration {
        self.interval() * self.burst.get()
    }
}

impl FromStr for Rate {
    type Err = RateError;
    fn from_str(text: &str) -> Result<Self, RateError> {
        let (per_second, burst) = text.split_once('/').ok_or(RateError)?;
        let number = |text: &str| text.parse().map_err(|_| RateError);
        Ok(Self { per_second: number(per_second)?, burst: number(burst)? })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.per_second, self.burst)
    }
}

/// A token bucket that is full when new. It holds only the moment at which it will be full again (the generic cell rate
/// algorithm, ITU-T I.371), so tokens are counted as the time in which they come back.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    full_at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub fn full(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// Takes the tokens that come back within `cost`, of a bucket that fills within `fill`; without them, says how long
    /// until they are there. What no bucket could hold is taken from a full one.
    ///
    /// # Errors
    /// The time to wait.
    pub fn take(&mut self, cost: Duration, fill: Duration, now: Instant) -> Result<(), Duration> {
        if let Some(wait) = self.wait(cost, fill, now) {
            return Err(wait);
        }
        self.spend(cost, now);
        Ok(())
    }

    /// How long until the tokens that come back within `cost` are there, if they are not at `now`.
    pub fn wait(&self, cost: Duration, fill: Duration, now: Instant) -> Option<Duration> {
        let debt = self.full_at.saturating_duration_since(now);
        debt.checked_sub(fill.saturating_sub(cost)).filter(|wait| !wait.is_zero())
    }

    /// Takes the tokens that come back within `cost`, also those that are not there yet: they are owed.
    pub fn spend(&mut self, cost: Duration, now: Instant) {
        self.full_at = now.max(self.full_at) + cost;
    }

    /// Whether the bucket is full at `now`, and so no different from a new one.
    pub fn is_full(&self, now: Instant) -> bool {
        self.full_at <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_as_flags_write_it() {
        assert_eq!("20/40".parse::<Rate>().map(|rate| rate.to_string()).as_deref(), Ok("20/40"));
        for text in ["", "20", "0/1", "1/0", "-1/2", "a/b", "1/2/3"] {
            assert_eq!(text.parse::<Rate>(), Err(RateError), "{text:?}");
        }
    }

    #[test]
    fn a_burst_passes_at_once_and_then_the_rate() {
        let (rate, now) = ("20/40".parse::<Rate>().unwrap(), Instant::now());
        let mut bucket = Bucket::full(now);
        let mut take = |now| bucket.take(rate.interval(), rate.fill(), now);
        assert_eq!((0..41).filter(|_| take(now).is_ok()).count(), 40);
        assert_eq!(take(now), Err(Duration::from_millis(50)));
        assert_eq!(take(now + Duration::from_millis(49)), Err(Duration::from_millis(1)));
        assert_eq!(take(now + Duration::from_millis(50)), Ok(()));
        assert_eq!(take(now + Duration::from_millis(50)), Err(Duration::from_millis(50)));
    }

    #[test]
    fn what_no_bucket_could_hold_empties_a_full_one() {
        let (fill, now) = (Duration::from_secs(1), Instant::now());
        let mut bucket = Bucket::full(now);
        assert_eq!(bucket.take(fill * 3, fill, now), Ok(()));
        assert_eq!(bucket.take(fill / 2, fill, now), Err(fill * 5 / 2));
        assert!(!bucket.is_full(now + fill * 2) && bucket.is_full(now + fill * 3));
    }
}

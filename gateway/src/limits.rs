//! How often somebody may do something: token buckets without a clock, and one bucket per key in bounded memory.

mod budget;
mod flood;
mod keyed;
mod rate;
mod seats;
mod user;

pub use budget::{Budget, Holding, Taken};
pub use flood::Flood;
pub use keyed::Limiter;
pub use rate::{Rate, RateError};
pub use seats::SeatLimits;
pub use user::{UserLimits, UserRates};

use std::time::{Duration, Instant};

/// A token bucket that is full when new. It holds only the moment at which it will be full again (the generic cell rate
/// algorithm, ITU-T I.371).
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    full_at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub fn full(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// Takes one token at `now`; without one, says how long until there is one again.
    pub fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        if let Some(wait) = self.wait(rate, now) {
            return Err(wait);
        }
        self.spend(rate, 1, now);
        Ok(())
    }

    /// How long until there is a token, if there is none at `now`.
    pub fn wait(&self, rate: Rate, now: Instant) -> Option<Duration> {
        let debt = self.full_at.saturating_duration_since(now);
        let room = rate.interval() * (rate.burst.get() - 1);
        debt.checked_sub(room).filter(|wait| !wait.is_zero())
    }

    /// Takes `amount` tokens at `now`, also those that are not there yet: they are owed.
    pub fn spend(&mut self, rate: Rate, amount: u32, now: Instant) {
        self.full_at = now.max(self.full_at) + rate.interval() * amount;
    }

    /// Whether the bucket is full at `now`, and so no different from a new one.
    pub fn is_full(&self, now: Instant) -> bool {
        self.full_at <= now
    }
}

#[cfg(test)]
mod tests;

//! How often somebody may do something: token buckets without a clock, and one bucket per key in bounded memory.

mod keyed;
mod rate;
mod socket;
mod user;

pub use keyed::Limiter;
pub use rate::{Rate, RateError};
pub use socket::SocketRates;
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
        let interval = rate.interval();
        let debt = self.full_at.saturating_duration_since(now);
        let room = interval * (rate.burst.get() - 1);
        if debt > room {
            return Err(debt.saturating_sub(room));
        }
        self.full_at = now.max(self.full_at) + interval;
        Ok(())
    }

    /// Whether the bucket is full at `now`, and so no different from a new one.
    pub fn is_full(&self, now: Instant) -> bool {
        self.full_at <= now
    }
}

#[cfg(test)]
mod tests;

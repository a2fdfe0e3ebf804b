//! A rate with its burst, as flags write it: `20/40`.

use std::{fmt, num::NonZeroU32, str::FromStr, time::Duration};

use thiserror::Error;

/// So many a second in the long run, and so many at once.
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
    /// The time in which one token comes back.
    pub fn interval(self) -> Duration {
        Duration::from_secs(1) / self.per_second.get()
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

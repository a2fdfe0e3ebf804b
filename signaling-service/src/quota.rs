//! How often something may be done within a time, as flags write it: `6/60`.

use std::{fmt, str::FromStr, time::Duration};

use clap::Args;
use thiserror::Error;

/// The moment of each counted ring is kept: more would be no limit.
const MAX_COUNT: u32 = 1_000;
/// A day.
const MAX_SECONDS: u64 = 24 * 3_600;

/// So many within any window of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// How many.
    pub count: u32,
    /// Within how long.
    pub window: Duration,
}

/// Why a text is not a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a quota is COUNT/SECONDS, two numbers above 0 and up to {MAX_COUNT}/{MAX_SECONDS}, e.g. 6/60")]
pub struct QuotaError;

/// How often somebody may ring, whatever the gateway and the device. A repeated request for a live call is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct RingQuotas {
    /// How often a user may ring, in all matches together.
    #[arg(long = "limit-rings", env = "LIMIT_RINGS", value_name = "COUNT/SECONDS", default_value = "20/60")]
    pub per_caller: Quota,

    /// How often a user may ring in one match.
    #[arg(long = "limit-rings-match", env = "LIMIT_RINGS_MATCH", value_name = "COUNT/SECONDS", default_value = "6/60")]
    pub per_match: Quota,
}

impl FromStr for Quota {
    type Err = QuotaError;

    fn from_str(text: &str) -> Result<Self, QuotaError> {
        let (count, seconds) = text.split_once('/').ok_or(QuotaError)?;
        let count = count.parse().map_err(|_| QuotaError)?;
        let seconds = seconds.parse().map_err(|_| QuotaError)?;
        if !(1..=MAX_COUNT).contains(&count) || !(1..=MAX_SECONDS).contains(&seconds) {
            return Err(QuotaError);
        }
        Ok(Self { count, window: Duration::from_secs(seconds) })
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.window.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_read_as_flags_write_it() {
        assert_eq!("6/60".parse(), Ok(Quota { count: 6, window: Duration::from_mins(1) }));
        assert_eq!("6/60".parse::<Quota>().map(|quota| quota.to_string()), Ok("6/60".to_owned()));
        for text in ["", "6", "0/60", "6/0", "-6/60", "1001/60", "6/86401", "a/b", "6/60/1"] {
            assert_eq!(text.parse::<Quota>(), Err(QuotaError), "{text:?}");
        }
    }
}

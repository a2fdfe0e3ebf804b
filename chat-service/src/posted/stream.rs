//! The stream `CHAT_EVENTS`: made when it is missing, and watched for being another one than before.

use std::time::Duration;

use proto::streams;
use service_kit::bus::Bus;
use tokio::time::timeout;
use tracing::info;

const ENSURE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long before the stream's last event a commit may have been left out.
const OVERLAP_MS: i64 = 60_000;

/// What the stream may lack, from little to much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Repair {
    /// Some of what this process committed in the last minute.
    Recent,
    /// This process is new: what others may have committed and not published since its last event.
    Since {
        /// The time of its last event.
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
            Self::Recent => now_ms - OVERLAP_MS,
        }
    }
}

/// The stream as it was seen last.
#[derive(Debug)]
pub(super) struct Stream {
    bus: Bus,
    shape: streams::Stream,
    /// When the one that was seen last was created, in nanoseconds.
    created: Option<i128>,
}

impl Stream {
    pub(super) fn new(bus: &Bus) -> Self {
        Self { bus: bus.clone(), shape: streams::chat_events(bus.subjects()), created: None }
    }

    /// Creates the stream if it is missing. Returns what it may lack, unless it is the one that was seen last.
    pub(super) async fn ensure(&mut self) -> anyhow::Result<Option<Repair>> {
        let found = timeout(ENSURE_TIMEOUT, self.bus.ensure_stream(&self.shape)).await??;
        let info = found.cached_info();
        let created = info.created.unix_timestamp_nanos();
        let before = self.created.replace(created);
        if before == Some(created) {
            return Ok(None);
        }
        if before.is_some() {
            info!(stream = self.shape.name, "the stream of commits was lost and is new");
        }
        if before.is_some() || info.state.messages == 0 {
            let max_age_ms = i64::try_from(self.shape.max_age.as_millis()).unwrap_or(i64::MAX);
            return Ok(Some(Repair::All { max_age_ms }));
        }
        Ok(Some(Repair::Since { last_ms: info.state.last_timestamp.unix_timestamp() * 1_000 }))
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
        assert_eq!(Repair::Recent.since_ms(2_000_000), 1_940_000);
    }
}

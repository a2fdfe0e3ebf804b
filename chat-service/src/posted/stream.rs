//! The stream `CHAT_EVENTS`: made when it is missing, and watched for being another one than before.

use std::time::Duration;

use proto::streams;
use service_kit::bus::Bus;
use tokio::time::timeout;
use tracing::info;

use super::repair::Repair;

const ENSURE_TIMEOUT: Duration = Duration::from_secs(3);

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

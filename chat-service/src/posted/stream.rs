//! The stream `CHAT_EVENTS`: made when it is missing, and watched for being another one than before.

use std::time::Duration;

use async_nats::jetstream;
use proto::{chat::MessagesCommitted, streams};
use service_kit::bus::{self, Bus};
use tokio::time::timeout;
use tracing::info;

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

    /// Creates the stream if it is missing. Returns since when it may lack commits, unless it is the one that was seen
    /// last.
    pub(super) async fn ensure(&mut self) -> anyhow::Result<Option<i64>> {
        let found = timeout(ENSURE_TIMEOUT, self.bus.ensure_stream(&self.shape)).await??;
        let info = found.cached_info();
        let created = info.created.unix_timestamp_nanos();
        if self.created == Some(created) {
            return Ok(None);
        }
        let is_another = self.created.is_some();
        let lacks_since_ms = if is_another || info.state.messages == 0 {
            0
        } else {
            timeout(ENSURE_TIMEOUT, watermark_ms(&found)).await??
        };
        if is_another {
            info!(stream = self.shape.name, "the stream of commits was lost and is new");
        }
        self.created = Some(created);
        Ok(Some(lacks_since_ms))
    }
}

/// The watermark of the newest event. One that cannot be decoded vouches for nothing: 0.
async fn watermark_ms(stream: &jetstream::stream::Stream) -> anyhow::Result<i64> {
    let newest = stream.get_raw_message(stream.cached_info().state.last_sequence).await?;
    let newest: Option<MessagesCommitted> = bus::decode(&newest.subject, newest.payload);
    Ok(newest.map_or(0, |event| event.watermark_ms))
}

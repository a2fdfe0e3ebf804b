//! How the transport behaves.

use super::sid::{RandomSids, SidSource};
use crate::{cors::Origins, limits::Budget};
use std::{sync::Arc, time::Duration};

/// How the transport behaves. All limits are enforced.
#[derive(Debug, Clone)]
pub struct Config {
    /// Path of the endpoint, with both slashes, e.g. `/socket.io/`.
    pub path: String,
    /// Time between two pings of the server.
    pub ping_interval: Duration,
    /// The client's time to answer one.
    pub ping_timeout: Duration,
    /// Largest WebSocket message and POST body, in bytes.
    pub max_payload: usize,
    /// Time for the whole upgrade from polling to WebSocket.
    pub upgrade_timeout: Duration,
    /// A write that makes no progress for this long closes the session.
    pub write_timeout: Duration,
    /// Bound of the outgoing queue in bytes of payload; passing it closes the session. What is sent at once while
    /// nothing waits may be larger.
    pub max_queued_bytes: usize,
    /// Bound of the outgoing queue in packets; passing it closes the session.
    pub max_queued_packets: usize,
    /// Bytes that all sessions together may hold above their shares: packets that wait to be sent, and messages that
    /// are not complete. A session that wants more when all are held is closed.
    pub held: Arc<Budget>,
    /// Origins whose pages may use the HTTP side.
    pub cors_origins: Origins,
    /// Where the ids of polling sessions come from.
    pub sids: Arc<dyn SidSource>,
    /// Keep URL and headers of the opening request for the whole session (costs memory; the product does not need it).
    pub keep_request: bool,
}

impl Default for Config {
    /// The gateway's production limits.
    fn default() -> Self {
        Self {
            path: "/socket.io/".to_owned(),
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            max_payload: 64 * 1024,
            upgrade_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            max_queued_bytes: 256 * 1024,
            max_queued_packets: 1_000,
            held: Arc::new(Budget::new(64 * 1024 * 1024)),
            cors_origins: Origins::default(),
            sids: Arc::new(RandomSids),
            keep_request: false,
        }
    }
}

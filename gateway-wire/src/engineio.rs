//! Engine.IO 4: one session over a WebSocket or over HTTP long-polling, with upgrade and heartbeat.
//!
//! Source: <https://socket.io/docs/v4/engine-io-protocol/>.

use bytes::Bytes;
use std::{net::IpAddr, time::Duration};

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
    /// Bound of the outgoing queue in bytes of payload; passing it closes the session.
    pub max_queued_bytes: usize,
    /// Bound of the outgoing queue in packets; passing it closes the session.
    pub max_queued_packets: usize,
    /// Origins whose pages may use the HTTP side: exact ones, `http://localhost:*`, or `*`.
    pub cors_origins: Vec<String>,
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
            cors_origins: Vec::new(),
            keep_request: false,
        }
    }
}

/// What is kept of the HTTP request that opened a session.
#[derive(Debug)]
pub struct Handshake {
    /// The client's address: the TCP peer's, or what a trusted proxy says.
    pub client: IpAddr,
    /// URL and headers, if [`Config::keep_request`] asks for them.
    pub request: Option<Box<KeptRequest>>,
}

/// URL and headers of the opening request.
#[derive(Debug)]
pub struct KeptRequest {
    /// Path and query, e.g. `/socket.io/?EIO=4&transport=websocket`.
    pub url: String,
    /// The headers in their order, names in lower case; values that are no text are left out.
    pub headers: Vec<(String, String)>,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The client closed the transport (close frame, close packet, cancelled poll).
    ClientClosed,
    /// The client left this namespace (Socket.IO DISCONNECT); the connection may live on.
    ClientDisconnected,
    /// The connection broke.
    ConnectionLost,
    /// No answer to a ping.
    PingTimeout,
    /// The client broke the protocol.
    ProtocolError,
    /// A message or body larger than [`Config::max_payload`].
    PayloadTooLarge,
    /// The outgoing queue passed its bound: the client does not read fast enough.
    QueueFull,
    /// A write made no progress for [`Config::write_timeout`].
    WriteTimeout,
    /// No namespace was connected in time.
    ConnectTimeout,
    /// We closed it.
    ServerClosed,
}

impl CloseReason {
    /// A name for logs and metrics, in snake case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientClosed => "client_closed",
            Self::ClientDisconnected => "client_disconnected",
            Self::ConnectionLost => "connection_lost",
            Self::PingTimeout => "ping_timeout",
            Self::ProtocolError => "protocol_error",
            Self::PayloadTooLarge => "payload_too_large",
            Self::QueueFull => "queue_full",
            Self::WriteTimeout => "write_timeout",
            Self::ConnectTimeout => "connect_timeout",
            Self::ServerClosed => "server_closed",
        }
    }
}

/// The session is closed; nothing was queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session is closed")]
pub struct Closed;

/// What one message carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// UTF-8 text.
    Text(Bytes),
    /// Bytes.
    Binary(Bytes),
}

impl Payload {
    /// Length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => bytes.len(),
        }
    }
}

/// The sending side of a session.
#[derive(Debug, Clone)]
pub struct Handle;

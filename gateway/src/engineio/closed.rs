//! That a session is closed, and why.

/// The session is closed; nothing was queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session is closed")]
pub struct Closed;

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
    /// A message or body larger than [`super::Config::max_payload`].
    PayloadTooLarge,
    /// The outgoing queue passed its bound: the client does not read fast enough.
    QueueFull,
    /// A write made no progress for [`super::Config::write_timeout`].
    WriteTimeout,
    /// All sessions together held as much as they may, and this one wanted more.
    OverBudget,
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
            Self::OverBudget => "over_budget",
            Self::ConnectTimeout => "connect_timeout",
            Self::ServerClosed => "server_closed",
        }
    }

    /// Whether the client is still given what is queued.
    pub(super) fn drains(self) -> bool {
        matches!(self, Self::ServerClosed | Self::ProtocolError | Self::ConnectTimeout)
    }
}

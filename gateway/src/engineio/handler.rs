//! What is done with sessions: the trait of the layer above.

use super::Handle;
use bytes::Bytes;
use std::{future::Future, pin::Pin};

/// What is done with sessions. The methods run on the session's own task, one after the other, and must not block.
pub trait Handler: Send + Sync + 'static {
    /// The state of one session.
    type Session: Send + Unpin + 'static;
    /// What a wait ends in.
    type Outcome: Send + 'static;

    /// A session was opened; what is sent here follows the open packet.
    fn open(&self, handle: &Handle) -> Self::Session;

    /// A message arrived.
    fn message(&self, session: &mut Self::Session, message: Message<'_>) -> Control<Self::Outcome>;

    /// A wait that [`message`](Self::message) or this method asked for is over.
    fn resume(&self, session: &mut Self::Session, outcome: Self::Outcome) -> Control<Self::Outcome>;

    /// The session is over; its handle is closed already.
    fn closed(&self, session: Self::Session, reason: CloseReason);
}

/// What a client sent.
#[derive(Debug)]
pub enum Message<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(Bytes),
}

/// How to go on after a message.
pub enum Control<O> {
    /// With the next one.
    Continue,
    /// Not at all: close the session.
    Close(CloseReason),
    /// After this future; the client's further messages wait. It is dropped if the session closes meanwhile.
    Wait(Pin<Box<dyn Future<Output = O> + Send>>),
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

//! What the server does with sockets: the trait that the application implements.

use super::{CloseReason, Emitter, Event, Handshake};
use std::{future::Future, sync::Arc};

/// What the server does with sockets.
///
/// All methods but [`connect`](Self::connect) are synchronous and must not block: they run on the connection's own
/// task, one after the other, in the order in which the packets arrived. What they emit through the connection's
/// emitters goes out in one write after the batch of packets that was read together.
pub trait Application: Send + Sync + Sized + 'static {
    /// The application's state of one connected socket: one (connection, namespace).
    type Socket: Send + Sync + 'static;

    /// Whether the application reads binary attachments. If not, a packet that announces some arrives at once, with
    /// [`Event::announced`] above zero and without them, and their bytes are dropped as they come.
    const TAKES_ATTACHMENTS: bool = true;

    /// Decides a CONNECT. No further packet of this connection is read or handled before it is done; the future is
    /// dropped when the connection closes meanwhile. Bound its time: heartbeat answers wait as well.
    fn connect(&self, request: Connect<'_>) -> impl Future<Output = Result<Accept<Self::Socket>, Refuse>> + Send;

    /// Called right after the CONNECT reply was queued: what is emitted here arrives after it, in the same write.
    fn connected(&self, socket: &Arc<Self::Socket>) {
        let _ = socket;
    }

    /// An event of the client. One that asks for an ack is answered by [`Emitter::ack`] with [`Event::ack`], now or
    /// later.
    fn event(&self, socket: &Arc<Self::Socket>, event: Event<'_>);

    /// The client's answer to an event that was sent with ack id `id`. `answer.name` is empty. Ids that were never
    /// asked arrive as well.
    fn ack(&self, socket: &Arc<Self::Socket>, id: u64, answer: Event<'_>) {
        let _ = (socket, id, answer);
    }

    /// The client has all that was sent to the socket before the last [`Emitter::prove`].
    fn proved(&self, socket: &Arc<Self::Socket>) {
        let _ = socket;
    }

    /// The socket is gone: called exactly once for each accepted socket, after its last event. The emitter
    /// is already closed.
    fn disconnected(&self, socket: &Arc<Self::Socket>, reason: CloseReason);
}

/// A CONNECT packet to be decided.
#[derive(Debug)]
pub struct Connect<'a> {
    /// The namespace asked for, e.g. `/`.
    pub namespace: &'a str,
    /// The client's `auth` as raw JSON: always an object, `{}` if it sent none. It is valid JSON of
    /// any depth; `serde_json` may refuse it (nested deeper than 128, a lone surrogate, a number out of range).
    pub auth: &'a str,
    /// The handle of the socket to be. It can be kept, but emit only from [`Application::connected`] on: what is
    /// emitted earlier reaches the client before the CONNECT reply, which drops it.
    pub emitter: Emitter,
    /// The HTTP request that opened the connection.
    pub handshake: &'a Handshake,
}

/// The answer to a CONNECT that is let in.
#[derive(Debug)]
pub struct Accept<S> {
    /// The application's state of the socket.
    pub socket: Arc<S>,
    /// Private session id of connection state recovery: is sent along with the reply if given.
    pub pid: Option<String>,
}

/// The answer to a CONNECT that is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refuse {
    /// `CONNECT_ERROR` `{"message":…,"data":…}`: the official client gives up for good.
    Error {
        /// Shown to the client as `err.message`.
        message: String,
        /// Raw JSON of `err.data`, if any.
        data: Option<String>,
    },
    /// `CONNECT_ERROR` `{"message":"Invalid namespace"}`, as the reference server says it.
    InvalidNamespace,
    /// Closes the transport without an answer: the official client comes back. For "cannot be decided now".
    Close,
}

//! Socket.IO 5 over our own Engine.IO 4: packets, namespaces, CONNECT, acks and attachments.
//!
//! The application implements [`Application`]; a [`Server`] gives it the sockets. What the application says to a
//! socket goes through the socket's [`Emitter`]. Several namespaces may be connected over one Engine.IO connection:
//! each has its own sid, emitter and `Application::Socket`.
//!
//! Source: <https://socket.io/docs/v4/socket-io-protocol/>.

mod application;
mod connection;
mod emitter;
mod event;
mod json;
mod limits;
mod packet;
mod server;

pub use crate::engineio::{CloseReason, Closed, Handshake, KeptRequest};
pub use application::{Accept, Application, Connect, Refuse};
pub use emitter::{Emitter, Packet};
pub use event::{Args, Event};
pub use limits::{MAX_ATTACHMENTS, MAX_JSON_DEPTH};
pub use server::Server;

use std::time::Duration;

/// How the Socket.IO layer behaves.
#[derive(Debug, Clone)]
pub struct Config {
    /// The transport below.
    pub engine: crate::engineio::Config,
    /// A connection that has no namespace connected for this long is closed.
    pub connect_timeout: Duration,
}

impl Default for Config {
    /// The gateway's production limits: CONNECT within 5 s over [`crate::engineio::Config::default`].
    fn default() -> Self {
        Self { engine: crate::engineio::Config::default(), connect_timeout: Duration::from_secs(5) }
    }
}

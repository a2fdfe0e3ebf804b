//! Engine.IO 4: sessions over a WebSocket or HTTP long-polling, with upgrade and heartbeat.
//!
//! A [`Server`] answers HTTP on its path and hands what clients send to a [`Handler`]; a [`Handle`] sends to one
//! session. Each session is one task that owns the handler's state of it and, once it is a WebSocket, the socket.
//!
//! Source: <https://socket.io/docs/v4/engine-io-protocol/>.

mod answer;
mod closed;
mod config;
mod context;
mod deadlines;
mod dispatch;
mod due;
mod endpoint;
mod error;
mod handle;
mod handler;
mod handshake;
mod heartbeat;
mod held;
mod link;
mod older_client;
mod opening;
mod packet;
mod payload;
mod polling;
mod proof;
mod query;
mod registry;
mod requests;
mod server;
mod session;
mod sid;
mod task;
mod upgrade;
mod work;

pub use closed::{CloseReason, Closed};
pub use config::Config;
pub use error::session_unknown;
pub use handle::Handle;
pub use handler::{Control, Handler, Message};
pub use handshake::{ClientAddress, Handshake, KeptRequest};
pub use packet::Payload;
pub use query::{begins_session, sid_of};
pub use server::Server;
pub use sid::{RandomSids, Sid, SidSource};

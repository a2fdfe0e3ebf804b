//! The protocol layers on real sockets, with raw TCP clients.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "wire/client.rs"]
mod client;
#[path = "wire/close.rs"]
mod close;
#[path = "wire/held.rs"]
mod held;
#[path = "wire/http.rs"]
mod http;
#[path = "wire/limits.rs"]
mod limits;
#[path = "wire/socketio.rs"]
mod socketio;
#[path = "wire/support.rs"]
mod support;
#[path = "wire/upgrade.rs"]
mod upgrade;
#[path = "wire/websocket.rs"]
mod websocket;

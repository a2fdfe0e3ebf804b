//! The gateway's protocol layers: WebSocket framing, Engine.IO and Socket.IO.

pub mod cors;
pub mod engineio;
pub mod listener;
pub mod socketio;
pub mod ws;

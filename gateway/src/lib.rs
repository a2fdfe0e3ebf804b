//! The gateway: clients on one side, NATS and gRPC on the other. It keeps no state that outlives a connection.

pub mod app;
pub mod auth;
pub mod chat;
pub mod config;
pub mod cors;
pub mod egress;
pub mod engineio;
pub mod failure;
pub mod forwarding;
pub mod inboxes;
pub mod limits;
pub mod listener;
pub mod metrics;
pub mod moment;
pub mod rest;
pub mod revocations;
pub mod socketio;
pub mod sockets;
pub mod stop;
pub mod tcp;
pub mod ws;

pub use gateway_core::{origin, payload, views};

/// What the process is called in logs, traces and metrics.
pub const NAME: &str = "gateway";

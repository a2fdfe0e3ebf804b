//! Counts the messages of every match and has chat-service record the milestones that it reaches.
//!
//! The way of a message through it: [`consumer`] (JetStream) → [`counter`] → [`store`] (Redis) and chat-service.

pub mod app;
pub mod config;
pub mod consumer;
pub mod counter;
pub mod metrics;
pub mod milestone;
pub mod milestones_file;
pub mod rpc;
pub mod store;

/// The name of the service, in logs, traces and on NATS.
pub const NAME: &str = "milestone-service";

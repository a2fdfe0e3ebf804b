//! Process plumbing that every service shares: [`run`], configuration, telemetry, health, shutdown, typed NATS, Redis,
//! gRPC.
//!
//! It knows no domain noun: what a service is about stays in the service.

pub mod bus;
pub mod clock;
pub mod config;
pub mod grpc;
pub mod health;
pub mod host;
pub mod lifecycle;
pub mod mutation;
pub mod outage;
mod panics;
pub mod period;
pub mod rate;
pub mod redis;
pub mod telemetry;

pub use config::{NatsConfig, ProcessConfig};
pub use lifecycle::{Lifecycle, run};

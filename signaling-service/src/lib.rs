//! Connects the two members of a match in a call. A call lives in Redis only, and only while it lasts.
//!
//! The way of a command through it: [`requests`] (NATS) → [`switchboard`] → [`call`] (pure: what is allowed) →
//! [`store`] (Redis, compare-and-set) → [`announcement`] (pure: who is told what). Time does its part in [`deadlines`]
//! and [`closed_matches`].

pub mod access;
pub mod announcement;
pub mod app;
pub mod call;
pub mod closed_matches;
pub mod config;
pub mod deadlines;
pub mod failure;
pub mod metrics;
pub mod quota;
pub mod requests;
pub mod rpc;
pub mod store;
pub mod switchboard;

/// The name of the service, in logs, traces and on NATS.
pub const NAME: &str = "signaling-service";

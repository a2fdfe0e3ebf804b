//! Matches and their messages.
//!
//! The way of a message: `sends` → `members` → `lane` (where `batch` and `room` decide and `store::Session` commits) → its
//! ack, `inbox`, `posted`.

pub mod app;
pub mod config;

mod announcer;
mod batch;
mod heads;
mod inbox;
mod lane;
mod members;
mod metrics;
mod posted;
mod room;
mod rpc;
mod sends;
mod store;

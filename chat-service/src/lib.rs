//! Matches and their messages.
//!
//! The way of a message: `partitions` → `sends` → `members` → `lane`, which runs what `lanes` decides (there `batch`
//! and `room` say what is stored, and `store::Session` commits it) → its ack, `inbox`, `posted`.

pub mod app;
pub mod config;

mod announcer;
pub mod batch;
mod heads;
mod inbox;
mod lane;
pub mod lanes;
pub mod limits;
mod members;
mod metrics;
pub mod ownership;
mod partitions;
pub mod peers;
pub mod posted;
mod retention;
pub mod room;
mod rpc;
pub mod saved;
mod sends;
mod store;

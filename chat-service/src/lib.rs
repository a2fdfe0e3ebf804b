//! Matches and their messages.
//!
//! Every write to a match is a `command`. The way of a message: `partitions` → `sends` → `audiences` → `lane`, which
//! runs what `lanes` decides (there `batch`, `command` and `room` say what is stored, and `store::Session` commits it)
//! → its ack, `inbox`, `posted`. What gRPC asks to be written goes into the same lanes (`rpc`). `may` says who may.

pub mod app;
pub mod config;

mod announcer;
pub mod audience;
mod audiences;
pub mod batch;
pub mod command;
pub mod digest;
mod erased;
mod erasure_step;
mod erasures;
mod heads;
mod inbox;
pub mod invitation;
mod lane;
pub mod lanes;
pub mod leftovers;
pub mod limits;
mod mark;
mod marks;
pub mod may;
mod metrics;
pub mod news;
pub mod outcome;
pub mod owners;
pub mod ownership;
mod partitions;
pub mod peers;
pub mod posted;
mod retention;
pub mod room;
mod rpc;
pub mod saved;
pub mod send_result;
mod sends;
mod shared;
mod store;
pub mod stored;
pub mod succession;
mod sync_token;
pub mod tenure;

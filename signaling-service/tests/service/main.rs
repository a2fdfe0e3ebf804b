//! signaling-service on real NATS and Redis, with the real chat-service (on PostgreSQL) and milestone-service.
//!
//! Their programs are taken from beside this test: `cargo build --release -p chat-service -p milestone-service`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod access;
mod calling;
mod faults;
mod limits;
mod party;
mod races;
mod support;

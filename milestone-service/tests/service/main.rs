//! milestone-service in-process, on real NATS, Redis and PostgreSQL, with the real chat-service.
//!
//! chat-service's program is taken from beside this test: `cargo build --release -p chat-service` makes it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod counting;
mod events;
mod faults;
mod registers;
mod support;

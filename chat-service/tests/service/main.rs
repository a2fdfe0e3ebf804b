//! chat-service in-process, on real PostgreSQL and NATS.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod sending;
mod support;

//! chat-service in-process, on real PostgreSQL and NATS.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod audience;
mod changes;
mod commands;
mod concurrency;
mod erasures;
mod faults;
mod groups;
mod grpc;
mod hang;
mod matches;
mod message_changes;
mod milestones;
mod pages;
mod partitions;
mod poison;
mod posted;
mod refusals;
mod revocations;
mod schema;
mod sending;
mod sharing;
mod standby;
mod support;
mod sync;
mod sync_schedules;

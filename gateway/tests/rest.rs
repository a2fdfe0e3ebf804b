//! REST as its callers see it: a real client, two gateways, real services and servers.
//!
//! The services' programs have to be built: `cargo build --release --workspace` (`./dev test` does it).

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/client.rs"]
mod client;
#[path = "rest/closing.rs"]
mod closing;
#[path = "rest/cross_origin.rs"]
mod cross_origin;
#[path = "rest/description.rs"]
mod description;
#[path = "rest/history.rs"]
mod history;
#[path = "rest/matches.rs"]
mod matches;
#[path = "rest/refusals.rs"]
mod refusals;
#[path = "rest/saving.rs"]
mod saving;
#[path = "support/stack.rs"]
mod stack;
#[path = "rest/tokens.rs"]
mod tokens;

//! Open-loop load generator: simulated pairs chat across several gateways, and a check that nothing acked was lost.
//!
//! Three parts that know little of each other: `transport` speaks Socket.IO over WebSocket, the scenario (`scenario`,
//! `user` and the pure `arrivals`, `outbox`, `inbox`) decides who sends what and when, and `stats` and `report` tell
//! what happened. `promises` judges it. `bench` measures what the gateway costs beside socket.io from npm.

pub mod arrivals;
pub mod bench;
pub mod config;
pub mod conversation;
pub mod identity;
pub mod inbox;
pub mod matches;
pub mod message;
pub mod outbox;
pub mod outcome;
pub mod pacer;
pub mod program;
pub mod report;
pub mod run;
pub mod scenario;
pub mod stage;
pub mod stats;
pub mod tokens;
pub mod transport;
pub mod user;

//! The three servers that the services stand on, each in its own folder and on a free port of 127.0.0.1.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use local_stack::servers::{Nats, Postgres};
//! let dir = std::path::Path::new("scratch");
//! let mut nats = Nats::start(dir).await?;
//! let postgres = Postgres::start(dir).await?;
//! let url = postgres.create_database("chat").await?;
//! nats.kill();
//! nats.start_again().await?; // same port, same data
//! # Ok(()) }
//! ```
//! Dropping one kills it, and so does the end of this process, however it ends. One that is kept in a `static` may
//! serve all tests of a process.

mod nats;
mod postgres;
mod redis;
mod starting;

pub use nats::{Nats, NatsCluster};
pub(crate) use postgres::Roles;
pub use postgres::{Postgres, PostgresPair};
pub use redis::Redis;

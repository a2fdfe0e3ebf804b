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

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::{
    daemon::{Daemon, Probe, Recipe},
    ports::{self, Reservation},
    process::Launch,
};

mod nats;
mod postgres;
mod redis;

pub use nats::Nats;
pub use postgres::Postgres;
pub use redis::Redis;

const READY_WITHIN: Duration = Duration::from_secs(30);
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// A port that was free a moment ago may be somebody else's by the time that the server binds it.
const PORT_ATTEMPTS: usize = 5;

/// A recipe with what all servers have in common.
fn recipe(launch: Launch, probe: Probe, stop_signal: Signal) -> Recipe {
    Recipe {
        launch,
        probe,
        stop_signal,
        abort_signal: None,
        not_yet: &[],
        ready_within: READY_WITHIN,
        stop_within: STOP_WITHIN,
    }
}

/// Starts a daemon on a free port, and on another one if somebody was faster.
async fn start_on_free_port(recipe_for: impl Fn(u16) -> Recipe) -> Result<(Daemon, u16)> {
    let mut attempt = 1;
    loop {
        let port = Reservation::any()?.release();
        match Daemon::start(recipe_for(port)).await {
            Ok(daemon) => return Ok((daemon, port)),
            Err(_) if attempt < PORT_ATTEMPTS && !ports::is_free(port) => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

fn create_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))
}

/// A relative folder would mean another one to a server that changes its working directory.
fn absolute(dir: &Path) -> Result<std::path::PathBuf> {
    std::path::absolute(dir).with_context(|| format!("no such folder: {}", dir.display()))
}

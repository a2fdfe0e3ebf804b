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
    ports::{self, Claim, Reservation},
    process::Launch,
};

mod nats;
mod postgres;
mod redis;

pub use nats::{Nats, NatsCluster};
pub(crate) use postgres::Roles;
pub use postgres::{Postgres, PostgresPair};
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
    let one = |ports: &[u16]| Ok(ports.iter().map(|port| recipe_for(*port)).collect());
    let (mut daemons, ports) = start_on_free_ports(1, one).await?;
    Ok((daemons.remove(0), ports[0]))
}

/// Starts daemons that need each other on that many free ports, and on others if somebody was faster.
async fn start_on_free_ports(
    count: usize,
    recipes_for: impl Fn(&[u16]) -> Result<Vec<Recipe>>,
) -> Result<(Vec<Daemon>, Vec<u16>)> {
    let mut attempt = 1;
    loop {
        let reserved = (0..count).map(|_| Reservation::any()).collect::<Result<Vec<_>>>()?;
        let ports: Vec<u16> = reserved.iter().map(Reservation::port).collect();
        let claims = reserved.into_iter().map(Reservation::release);
        match start_together(recipes_for(&ports)?, claims).await {
            Ok(daemons) => return Ok((daemons, ports)),
            Err(_) if attempt < PORT_ATTEMPTS && !ports.iter().all(|port| ports::is_free(*port)) => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

async fn start_together(recipes: Vec<Recipe>, claims: impl Iterator<Item = Claim>) -> Result<Vec<Daemon>> {
    let mut daemons: Vec<Daemon> = recipes.into_iter().map(Daemon::new).collect();
    let count = daemons.len();
    for (index, claim) in claims.enumerate() {
        daemons[index % count].keep(claim);
    }
    for daemon in &mut daemons {
        daemon.launch()?;
    }
    for daemon in &mut daemons {
        daemon.ready().await?;
    }
    Ok(daemons)
}

fn create_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))
}

/// A relative folder would mean another one to a server that changes its working directory.
fn absolute(dir: &Path) -> Result<std::path::PathBuf> {
    std::path::absolute(dir).with_context(|| format!("no such folder: {}", dir.display()))
}

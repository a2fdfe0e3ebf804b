//! How a server is started: on a free port, in a folder of its own.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::{
    daemon::{Daemon, Probe, Recipe},
    ports::{self, Reservation},
    process::Launch,
};

const READY_WITHIN: Duration = Duration::from_secs(30);
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// A port that was free a moment ago may be somebody else's by the time that the server binds it.
const PORT_ATTEMPTS: usize = 5;

/// A recipe with what all servers have in common.
pub(super) fn recipe(launch: Launch, probe: Probe, stop_signal: Signal) -> Recipe {
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
pub(super) async fn start_on_free_port(recipe_for: impl Fn(u16) -> Recipe) -> Result<(Daemon, u16)> {
    let one = |ports: &[u16]| Ok(ports.iter().map(|port| recipe_for(*port)).collect());
    let (mut daemons, ports) = start_on_free_ports(1, one).await?;
    Ok((daemons.remove(0), ports[0]))
}

/// Starts daemons that need each other on that many free ports, and on others if somebody was faster.
pub(super) async fn start_on_free_ports(
    count: usize,
    recipes_for: impl Fn(&[u16]) -> Result<Vec<Recipe>>,
) -> Result<(Vec<Daemon>, Vec<u16>)> {
    let mut attempt = 1;
    loop {
        let reserved = (0..count).map(|_| Reservation::any()).collect::<Result<Vec<_>>>()?;
        let ports: Vec<u16> = reserved.iter().map(Reservation::port).collect();
        match start_together(recipes_for(&ports)?, reserved).await {
            Ok(daemons) => return Ok((daemons, ports)),
            Err(_) if attempt < PORT_ATTEMPTS && !ports.iter().all(|port| ports::is_free(*port)) => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

async fn start_together(recipes: Vec<Recipe>, ports: Vec<Reservation>) -> Result<Vec<Daemon>> {
    let mut daemons: Vec<Daemon> = recipes.into_iter().map(Daemon::new).collect();
    let count = daemons.len();
    for (index, port) in ports.into_iter().enumerate() {
        daemons[index % count].keep(port.release().await);
    }
    for daemon in &mut daemons {
        daemon.launch()?;
    }
    for daemon in &mut daemons {
        daemon.ready().await?;
    }
    Ok(daemons)
}

pub(super) fn create_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))
}

/// A relative folder would mean another one to a server that changes its working directory.
pub(super) fn absolute(dir: &Path) -> Result<PathBuf> {
    std::path::absolute(dir).with_context(|| format!("no such folder: {}", dir.display()))
}

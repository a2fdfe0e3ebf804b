//! A Redis server.

use std::{
    ffi::OsString,
    ops::{Deref, DerefMut},
    path::Path,
};

use anyhow::Result;
use rustix::process::Signal;

use super::starting::{absolute, create_folder, recipe, start_on_free_port};
use crate::{
    daemon::{Daemon, Probe},
    process::Launch,
    programs,
};

/// A Redis server that appends to a file in `redis/` of the folder given, so a restart keeps all but the last second.
#[derive(Debug)]
pub struct Redis {
    daemon: Daemon,
    url: String,
}

impl Redis {
    /// Starts it and waits until it has loaded its data.
    ///
    /// # Errors
    /// When the program is missing, or the server does not get ready: with its last lines.
    pub async fn start(dir: &Path) -> Result<Self> {
        let dir = absolute(dir)?;
        let data = dir.join("redis");
        create_folder(&data)?;
        let program = programs::redis_server()?;
        let recipe_for = |port: u16| {
            let launch = Launch {
                name: "redis".to_owned(),
                program: program.clone(),
                args: arguments(port, &data),
                env: Vec::new(),
                log: dir.join("log/redis.log"),
                orphan_signal: "KILL",
                user: None,
            };
            // While it loads its data it answers -LOADING.
            let probe = Probe::Dialogue { port, say: "PING\r\n".to_owned(), hear: "+PONG" };
            recipe(launch, probe, Signal::TERM)
        };
        let (daemon, port) = start_on_free_port(recipe_for).await?;
        Ok(Self { daemon, url: format!("redis://127.0.0.1:{port}") })
    }

    /// For clients.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The process, when it is to be kept beside others.
    pub fn into_daemon(self) -> Daemon {
        self.daemon
    }
}

fn arguments(port: u16, data: &Path) -> Vec<OsString> {
    let port = port.to_string();
    let mut args: Vec<OsString> =
        ["--bind", "127.0.0.1", "--port", &port, "--appendonly", "yes", "--save", "", "--dir"]
            .map(OsString::from)
            .into();
    args.push(data.into());
    args
}

impl Deref for Redis {
    type Target = Daemon;
    fn deref(&self) -> &Daemon {
        &self.daemon
    }
}

impl DerefMut for Redis {
    fn deref_mut(&mut self) -> &mut Daemon {
        &mut self.daemon
    }
}

//! A NATS server with JetStream.

use std::{
    ffi::OsString,
    ops::{Deref, DerefMut},
    path::Path,
};

use anyhow::Result;
use rustix::process::Signal;

use super::starting::{absolute, create_folder, recipe, start_on_free_port};
use crate::{
    daemon::{Daemon, Probe, Recipe},
    process::Launch,
    programs,
};

mod cluster;

pub use cluster::NatsCluster;

/// A NATS server with JetStream, its store in `nats/` of the folder given.
#[derive(Debug)]
pub struct Nats {
    daemon: Daemon,
    url: String,
}

impl Nats {
    /// Starts it and waits until it accepts clients.
    ///
    /// # Errors
    /// When the program is missing, or the server does not get ready: with its last lines.
    pub async fn start(dir: &Path) -> Result<Self> {
        let dir = absolute(dir)?;
        let store = dir.join("nats");
        create_folder(&store)?;
        let program = programs::nats_server()?;
        let recipe_for = |port: u16| recipe_of(&dir, "nats", (&program, arguments(port, &store)), port);
        let (daemon, port) = start_on_free_port(recipe_for).await?;
        Ok(Self { daemon, url: format!("nats://127.0.0.1:{port}") })
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

/// The server `name` with its log in the folder.
fn recipe_of(dir: &Path, name: &str, (program, args): (&Path, Vec<OsString>), port: u16) -> Recipe {
    let launch = Launch {
        name: name.to_owned(),
        program: program.to_owned(),
        args,
        env: Vec::new(),
        log: dir.join(format!("log/{name}.log")),
        orphan_signal: "KILL",
        user: None,
    };
    // The server greets each client with its INFO, and listens only after JetStream has recovered.
    let probe = Probe::Dialogue { port, say: String::new(), hear: "INFO " };
    recipe(launch, probe, Signal::TERM)
}

fn arguments(port: u16, store: &Path) -> Vec<OsString> {
    let port = port.to_string();
    let mut args: Vec<OsString> =
        ["--addr", "127.0.0.1", "--port", &port, "--jetstream", "--store_dir"].map(OsString::from).into();
    args.push(store.into());
    args
}

impl Deref for Nats {
    type Target = Daemon;
    fn deref(&self) -> &Daemon {
        &self.daemon
    }
}

impl DerefMut for Nats {
    fn deref_mut(&mut self) -> &mut Daemon {
        &mut self.daemon
    }
}

//! A PostgreSQL server, alone or with a standby.

use std::{
    ops::{Deref, DerefMut},
    path::Path,
};

use anyhow::Result;
use rustix::process::Signal;

use super::starting::{absolute, recipe, start_on_free_port};
use crate::{
    daemon::{Daemon, Probe, Recipe},
    process::Launch,
};

mod cluster;
mod pair;
mod psql;

pub use pair::PostgresPair;
pub(crate) use pair::Roles;
use psql::{Psql, SUPERUSER};

/// A postmaster that was killed may still wait for its own parent to take notice, and its children need a moment to
/// notice that it is gone.
const NOT_YET: &[&str] = &["lock file \"postmaster.pid\" already exists", "pre-existing shared memory block"];

/// A PostgreSQL server with `synchronous_commit=on`, as is its default, its data in `postgres/` of the folder given.
#[derive(Debug)]
pub struct Postgres {
    daemon: Daemon,
    port: u16,
    password: String,
    url: String,
    psql: Psql,
}

impl Postgres {
    /// Creates the data folder if it is new, starts the server and waits until it accepts clients.
    ///
    /// # Errors
    /// When the programs are missing, or the server does not get ready: with its last lines.
    pub async fn start(dir: &Path) -> Result<Self> {
        let dir = absolute(dir)?;
        let cluster = cluster::open_or_create(&dir).await?;
        let recipe_for = |port: u16| recipe_of(&dir, "postgres", &cluster, port, &[]);
        let (daemon, port) = start_on_free_port(recipe_for).await?;
        let url = url(&cluster.password, &[port], SUPERUSER);
        let psql = Psql::new(&cluster.bin, &cluster.password, port);
        // One that had a standby before would wait for it.
        psql.query("ALTER SYSTEM RESET synchronous_standby_names").await?;
        psql.query("SELECT pg_reload_conf()").await?;
        Ok(Self { daemon, port, password: cluster.password, url, psql })
    }

    /// For clients, with the password, of the database `postgres`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Creates a database unless it exists.
    ///
    /// # Returns
    /// Its URL.
    ///
    /// # Errors
    /// When the name is not 1–63 of `a-z 0-9 _`, or the server refuses.
    pub async fn create_database(&self, name: &str) -> Result<String> {
        self.psql.create_database(name).await?;
        Ok(url(&self.password, &[self.port], name))
    }

    /// The process, when it is to be kept beside others.
    pub fn into_daemon(self) -> Daemon {
        self.daemon
    }
}

/// The URL that finds whichever of the servers takes writes.
fn url(password: &str, ports: &[u16], database: &str) -> String {
    let hosts: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let attributes = if ports.len() > 1 { "?target_session_attrs=read-write" } else { "" };
    format!("postgres://{SUPERUSER}:{password}@{}/{database}{attributes}", hosts.join(","))
}

/// The server `name` of a cluster, with more settings (`name=value`) than all have.
fn recipe_of(dir: &Path, name: &str, cluster: &cluster::Cluster, port: u16, settings: &[String]) -> Recipe {
    let basic = [
        format!("port={port}"),
        "listen_addresses=127.0.0.1".to_owned(),
        // No socket file: its path may be longer than the 107 bytes that the kernel allows.
        "unix_socket_directories=".to_owned(),
        "max_connections=200".to_owned(),
    ];
    let settings = basic.iter().chain(settings).flat_map(|setting| ["-c".into(), setting.into()]);
    let launch = Launch {
        name: name.to_owned(),
        program: cluster.bin.join("postgres"),
        args: ["-D".into(), cluster.data.clone().into()].into_iter().chain(settings).collect(),
        env: Vec::new(),
        log: dir.join(format!("log/{name}.log")),
        // A kill would leave its children for a moment and a piece of shared memory for ever.
        orphan_signal: "QUIT",
        user: cluster::user(),
    };
    // SIGINT is its fast shutdown: SIGTERM would wait for the clients to leave.
    let probe = Probe::PostmasterPid(cluster.data.join("postmaster.pid"));
    // SIGQUIT takes its children and its shared memory along.
    Recipe { abort_signal: Some(Signal::QUIT), not_yet: NOT_YET, ..recipe(launch, probe, Signal::INT) }
}

impl Deref for Postgres {
    type Target = Daemon;
    fn deref(&self) -> &Daemon {
        &self.daemon
    }
}

impl DerefMut for Postgres {
    fn deref_mut(&mut self) -> &mut Daemon {
        &mut self.daemon
    }
}

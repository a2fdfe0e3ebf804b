//! A PostgreSQL server.

use std::{
    ffi::OsString,
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tokio::process::Command;

use super::{absolute, recipe, start_on_free_port};
use crate::{
    daemon::{Daemon, Probe, Recipe},
    process::Launch,
};

mod cluster;

/// The role and the database that every new cluster has.
const SUPERUSER: &str = "postgres";

/// A postmaster that was killed may still wait for its own parent to take notice, and its children need a moment to
/// notice that it is gone.
const NOT_YET: &[&str] = &["lock file \"postmaster.pid\" already exists", "pre-existing shared memory block"];

/// A PostgreSQL server with `synchronous_commit=on`, its data in `postgres/` of the folder given.
#[derive(Debug)]
pub struct Postgres {
    daemon: Daemon,
    port: u16,
    password: String,
    url: String,
    psql: PathBuf,
}

impl Postgres {
    /// Creates the data folder if it is new, starts the server and waits until it accepts clients.
    ///
    /// # Errors
    /// When the programs are missing, or the server does not get ready: with its last lines.
    pub async fn start(dir: &Path) -> Result<Self> {
        let dir = absolute(dir)?;
        let cluster = cluster::open_or_create(&dir).await?;
        let recipe_for = |port: u16| recipe_of(&dir, &cluster, port);
        let (daemon, port) = start_on_free_port(recipe_for).await?;
        let url = url(&cluster.password, port, SUPERUSER);
        Ok(Self { daemon, port, password: cluster.password, url, psql: cluster.bin.join("psql") })
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
        let legal = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
        if name.is_empty() || name.len() > 63 || !name.bytes().all(legal) {
            bail!("not a database name: {name:?}");
        }
        let exists = self.query(&format!("SELECT 1 FROM pg_database WHERE datname = '{name}'")).await?;
        if exists.is_empty() {
            self.query(&format!("CREATE DATABASE \"{name}\"")).await?;
        }
        Ok(url(&self.password, self.port, name))
    }

    /// The process, when it is to be kept beside others.
    pub fn into_daemon(self) -> Daemon {
        self.daemon
    }

    async fn query(&self, sql: &str) -> Result<String> {
        let mut psql = Command::new(&self.psql);
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", "--command", sql]);
        psql.args(["--host=127.0.0.1", "--username", SUPERUSER, "--dbname", SUPERUSER, "--port"])
            .arg(self.port.to_string());
        psql.env("PGPASSWORD", &self.password).kill_on_drop(true);
        let output = psql.output().await.context("cannot start psql")?;
        if !output.status.success() {
            bail!("{sql}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

fn url(password: &str, port: u16, database: &str) -> String {
    format!("postgres://{SUPERUSER}:{password}@127.0.0.1:{port}/{database}")
}

fn recipe_of(dir: &Path, cluster: &cluster::Cluster, port: u16) -> Recipe {
    let mut args: Vec<OsString> = vec!["-D".into(), cluster.data.clone().into()];
    let settings = [
        format!("port={port}"),
        "listen_addresses=127.0.0.1".to_owned(),
        // No socket file: its path may be longer than the 107 bytes that the kernel allows.
        "unix_socket_directories=".to_owned(),
        "synchronous_commit=on".to_owned(),
        "max_connections=200".to_owned(),
    ];
    args.extend(settings.into_iter().flat_map(|setting| ["-c".into(), setting.into()]));
    let launch = Launch {
        name: "postgres".to_owned(),
        program: cluster.bin.join("postgres"),
        args,
        env: Vec::new(),
        log: dir.join("log/postgres.log"),
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

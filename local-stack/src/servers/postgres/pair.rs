//! A PostgreSQL server with a synchronous standby, which can take its place.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use tokio::time::{Instant, sleep};

use super::{Psql, SUPERUSER, cluster, recipe_of, url};
use crate::{
    daemon::{Daemon, Recipe},
    ports::Reservation,
    process::POLL,
    servers::starting::{absolute, start_on_free_port},
};

/// What the two are called. Which is the primary changes with each promotion.
const NAMES: [&str; 2] = ["postgres-0", "postgres-1"];
const IN_STEP_WITHIN: Duration = Duration::from_secs(30);

/// Both may be either, so both have the settings of both: a peer that hangs is given up, and one that comes back is
/// found again, within moments instead of the minute and the 5 s that PostgreSQL would take.
const SETTINGS: [&str; 4] =
    ["wal_sender_timeout=5s", "wal_receiver_timeout=5s", "wal_retrieve_retry_interval=200ms", "wal_keep_size=256MB"];

/// A PostgreSQL server whose COMMITs wait for a standby, `postgres-0` and `postgres-1`.
#[derive(Debug)]
pub struct PostgresPair {
    servers: [Daemon; 2],
    roles: Roles,
}

impl PostgresPair {
    /// Starts the primary on its data in `postgres/` of the folder, which is made if it is new, and a standby on a
    /// fresh copy of it, and waits until COMMITs wait for the standby.
    ///
    /// # Errors
    /// When the programs are missing, or a server does not get ready: with its last lines.
    pub async fn start(dir: &Path) -> Result<Self> {
        let dir = absolute(dir)?;
        let cluster = cluster::open_or_create(&dir).await?;
        cluster::write_password_file(&cluster)?;
        let primary = usize::from(cluster.data.ends_with(cluster::DATA[1]));
        let standby_port = Reservation::any()?;
        let ports_with = |port: u16| {
            let mut ports = [standby_port.port(); 2];
            ports[primary] = port;
            ports
        };
        let roles_with = |port| Roles {
            dir: dir.clone(),
            cluster: cluster.clone(),
            ports: ports_with(port),
            primary,
            has_standby: false,
        };
        let (server, port) = start_on_free_port(|port| roles_with(port).recipe(primary)).await?;
        let mut roles = roles_with(port);
        // Of an earlier run.
        roles.stop_waiting().await?;
        roles.copy_to_standby().await?;
        let mut standby = Daemon::new(roles.recipe(1 - primary));
        standby.keep(standby_port.release().await);
        standby.launch()?;
        standby.ready().await?;
        roles.wait_for_standby(&mut standby).await?;
        let servers = if primary == 0 { [server, standby] } else { [standby, server] };
        Ok(Self { servers, roles })
    }

    /// Creates a database unless it exists.
    ///
    /// # Returns
    /// Its URL, which names both servers.
    ///
    /// # Errors
    /// As [`Postgres::create_database`](super::Postgres::create_database).
    pub async fn create_database(&self, name: &str) -> Result<String> {
        self.roles.psql(self.roles.primary).create_database(name).await?;
        Ok(url(&self.roles.cluster.password, &self.roles.ports, name))
    }

    /// The server that takes writes.
    pub fn primary_mut(&mut self) -> &mut Daemon {
        &mut self.servers[self.roles.primary]
    }

    /// The other one.
    pub fn standby_mut(&mut self) -> &mut Daemon {
        &mut self.servers[1 - self.roles.primary]
    }

    /// Kills the primary, takes its data away and lets the standby take its place.
    ///
    /// # Errors
    /// When there is no standby, or it does not answer. The primary goes on then.
    pub async fn promote(&mut self) -> Result<()> {
        let [a, b] = &mut self.servers;
        let (old, new) = if self.roles.primary == 0 { (a, b) } else { (b, a) };
        self.roles.promote(old, new).await
    }

    /// Makes the server that lost its place in a promotion the standby, with a fresh copy of the data.
    ///
    /// # Errors
    /// When there is a standby already, or it does not get in step.
    pub async fn rejoin(&mut self) -> Result<()> {
        self.roles.rejoin(&mut self.servers[1 - self.roles.primary]).await
    }

    /// The processes and who they are, when they are to be kept beside others.
    pub(crate) fn into_parts(self) -> ([Daemon; 2], Roles) {
        (self.servers, self.roles)
    }
}

/// Which of the two servers is the primary.
#[derive(Debug)]
pub(crate) struct Roles {
    dir: PathBuf,
    cluster: cluster::Cluster,
    ports: [u16; 2],
    primary: usize,
    has_standby: bool,
}

impl Roles {
    pub(crate) fn primary_name(&self) -> &'static str {
        NAMES[self.primary]
    }

    pub(crate) fn standby_name(&self) -> &'static str {
        NAMES[1 - self.primary]
    }

    pub(crate) fn has_standby(&self) -> bool {
        self.has_standby
    }

    /// Refuses where no standby can be promoted.
    pub(crate) async fn check_standby(&self) -> Result<()> {
        ensure!(self.has_standby, "there is no standby to promote: rejoin first");
        self.psql(1 - self.primary).query("SELECT 1").await.context("the standby does not answer").map(|_| ())
    }

    /// See [`PostgresPair::promote`].
    pub(crate) async fn promote(&mut self, old: &mut Daemon, new: &mut Daemon) -> Result<()> {
        ensure!(new.is_running(), "the standby {} is down", self.standby_name());
        self.check_standby().await?;
        // Before anything else: there must never be two that take writes.
        old.kill();
        cluster::remove(&self.data(self.primary))?;
        let promoted = self.psql(1 - self.primary).query("SELECT pg_promote(true, 30)").await?;
        ensure!(promoted == "t", "the standby does not become the primary");
        self.primary = 1 - self.primary;
        self.has_standby = false;
        Ok(())
    }

    /// See [`PostgresPair::rejoin`].
    pub(crate) async fn rejoin(&mut self, standby: &mut Daemon) -> Result<()> {
        ensure!(!self.has_standby, "{} is the standby already", self.standby_name());
        self.copy_to_standby().await?;
        standby.launch()?;
        standby.ready().await?;
        self.wait_for_standby(standby).await
    }

    async fn copy_to_standby(&self) -> Result<()> {
        cluster::copy(&self.dir, &self.cluster, self.ports[self.primary], &self.data(1 - self.primary)).await
    }

    /// COMMITs do not wait for a standby any more. A standby is copied while this holds, so that it needs none when
    /// promoted.
    async fn stop_waiting(&self) -> Result<()> {
        let primary = self.psql(self.primary);
        primary.query("ALTER SYSTEM RESET synchronous_standby_names").await?;
        primary.query("SELECT pg_reload_conf()").await.map(|_| ())
    }

    /// From now on each COMMIT waits for the standby. Returns when that holds.
    async fn wait_for_standby(&mut self, standby: &mut Daemon) -> Result<()> {
        let primary = self.psql(self.primary);
        primary.query("ALTER SYSTEM SET synchronous_standby_names = '*'").await?;
        primary.query("SELECT pg_reload_conf()").await?;
        let deadline = Instant::now() + IN_STEP_WITHIN;
        while primary.query("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'").await? != "1" {
            if !standby.is_running() {
                bail!("{}", standby.obituary());
            }
            ensure!(
                Instant::now() < deadline,
                "the standby is not in step after {IN_STEP_WITHIN:?}{}",
                standby.quote()
            );
            sleep(POLL).await;
        }
        self.has_standby = true;
        Ok(())
    }

    fn recipe(&self, i: usize) -> Recipe {
        let peer = self.ports[1 - i];
        let password_file = cluster::password_file(&self.cluster.home);
        let password_file = password_file.to_string_lossy().replace('\\', "\\\\").replace('\'', "\\'");
        let mut settings: Vec<String> = SETTINGS.map(str::to_owned).into();
        settings.push(format!(
            "primary_conninfo=host=127.0.0.1 port={peer} user={SUPERUSER} connect_timeout=2 passfile='{password_file}'"
        ));
        let cluster = cluster::Cluster { data: self.data(i), ..self.cluster.clone() };
        recipe_of(&self.dir, NAMES[i], &cluster, self.ports[i], &settings)
    }

    fn data(&self, i: usize) -> PathBuf {
        self.cluster.home.join(cluster::DATA[i])
    }

    fn psql(&self, i: usize) -> Psql {
        Psql::new(&self.cluster.bin, &self.cluster.password, self.ports[i])
    }
}

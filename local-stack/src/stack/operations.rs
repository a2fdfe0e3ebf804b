//! What is done to servers as a whole, beyond killing and starting their processes: by tests, and by those who
//! rehearse.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;

use super::{Role, Stack};
use crate::{
    daemon::{Daemon, Probe},
    servers::Roles,
};

/// What a server in lame-duck mode is told by (NATS documentation, "Signals").
const LAME_DUCK: Signal = Signal::USR2;

impl Stack {
    /// Empties a NATS server: its process is killed, its data removed, and it is started again. `nats` means all of a
    /// cluster, which are all down before the first one starts.
    ///
    /// # Errors
    /// When no NATS server has this name, or one does not come back.
    pub async fn wipe(&mut self, name: &str) -> Result<()> {
        let dir = self.dir.clone();
        let mut nodes = self.nats_mut(name)?;
        for node in &mut nodes {
            node.kill();
            let store = dir.join(node.name());
            empty(&store)?;
        }
        for node in &mut nodes {
            node.launch()?;
        }
        for node in &mut nodes {
            node.ready().await?;
        }
        Ok(())
    }

    /// Has a NATS server send its clients away and end, and waits until it has. [`Daemon::start_again`] brings it back.
    ///
    /// # Errors
    /// When no NATS server has this name, or it is down.
    pub async fn lame_duck(&mut self, name: &str) -> Result<()> {
        for node in self.nats_mut(name)? {
            ensure!(node.is_running(), "{} is down", node.name());
            node.signal(LAME_DUCK)?;
            node.ended_by_itself().await?;
        }
        Ok(())
    }

    /// Empties Redis (FLUSHALL).
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn flush_redis(&mut self) -> Result<()> {
        let port = self.manifest.redis_url.rsplit(':').next().and_then(|port| port.parse().ok());
        let port = port.context("Redis has no port")?;
        let flush = Probe::Dialogue { port, say: "FLUSHALL\r\n".to_owned(), hear: "+OK" };
        let redis = self.member_mut("redis").and_then(|member| member.daemon.pid());
        match redis {
            Some(pid) if flush.succeeds(pid).await => Ok(()),
            _ => bail!("Redis does not answer"),
        }
    }

    /// Ends the process at once, without any shutdown of its own (PostgreSQL: "immediate"), and starts it again.
    ///
    /// # Errors
    /// When nobody has this name, or it does not come back.
    pub async fn restart(&mut self, name: &str) -> Result<()> {
        let member = self.member_mut(name).with_context(|| format!("nobody is called {name}"))?;
        member.daemon.crash().await?;
        member.daemon.start_again().await
    }

    /// PostgreSQL's standby, or who is to become it after a promotion.
    pub fn standby_name(&self) -> Option<&'static str> {
        self.roles.as_ref().map(Roles::standby_name)
    }

    /// Whether COMMITs wait for a standby: not between [`Stack::promote_postgres`] and [`Stack::rejoin_postgres`].
    pub fn has_standby(&self) -> bool {
        self.roles.as_ref().is_some_and(Roles::has_standby)
    }

    /// Whether there is a standby that answers, and so can be promoted.
    pub async fn can_promote_postgres(&self) -> bool {
        match &self.roles {
            Some(roles) => roles.check_standby().await.is_ok(),
            None => false,
        }
    }

    /// Kills PostgreSQL's primary for good and lets the standby take its place. COMMITs wait for no standby then, until
    /// [`Stack::rejoin_postgres`].
    ///
    /// The old primary's data is gone before the standby takes writes, so it can never come back beside it.
    ///
    /// # Errors
    /// When there is no standby, or it does not answer. The primary goes on then.
    pub async fn promote_postgres(&mut self) -> Result<()> {
        let roles = self.roles.as_mut().context("PostgreSQL has no standby: --pg-standby")?;
        let [old, new] = daemons(&mut self.members, [roles.primary_name(), roles.standby_name()])?;
        roles.promote(old, new).await
    }

    /// Makes the server that lost its place in a promotion the standby, with a fresh copy of the data; COMMITs wait for
    /// it again.
    ///
    /// # Errors
    /// When there is a standby already, or it does not get in step.
    pub async fn rejoin_postgres(&mut self) -> Result<()> {
        let roles = self.roles.as_mut().context("PostgreSQL has no standby: --pg-standby")?;
        let [standby] = daemons(&mut self.members, [roles.standby_name()])?;
        roles.rejoin(standby).await
    }

    /// The NATS server of this name, or all for `nats`.
    fn nats_mut(&mut self, name: &str) -> Result<Vec<&mut Daemon>> {
        let all = self.members.iter_mut().filter(|member| member.role == Role::Server).map(|member| &mut member.daemon);
        let is_meant = |own: &str| own == name || (name == "nats" && own.starts_with("nats-"));
        let nodes: Vec<_> = all.filter(|node| node.name().starts_with("nats") && is_meant(node.name())).collect();
        ensure!(!nodes.is_empty(), "no NATS server is called {name}");
        Ok(nodes)
    }
}

/// The processes of these names, which differ.
fn daemons<'a, const N: usize>(members: &'a mut [super::Member], names: [&str; N]) -> Result<[&'a mut Daemon; N]> {
    let mut found = names.map(|_| None);
    for member in members {
        if let Some(i) = names.iter().position(|name| *name == member.daemon.name()) {
            found[i] = Some(&mut member.daemon);
        }
    }
    let found: Vec<&mut Daemon> = found.into_iter().flatten().collect();
    found.try_into().ok().context("a server is missing")
}

fn empty(folder: &Path) -> Result<()> {
    fs::remove_dir_all(folder)
        .and_then(|()| fs::create_dir_all(folder))
        .with_context(|| format!("cannot empty {}", folder.display()))
}

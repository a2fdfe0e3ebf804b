//! The whole system: the servers, the services and the gateways, started in order and stopped in order.

use std::path::PathBuf;

use anyhow::{Context, Result};
use tokio::time::Instant;

use crate::{daemon::Daemon, note::note, ports::Reservation, servers::Roles, token};

mod clocks;
mod config;
mod links;
mod lock;
mod manifest;
mod member;
mod operations;
mod plan;
mod seed;
mod servers;
mod variables;

pub use clocks::Clocks;
pub use config::{DEFAULT_DIR, StackConfig};
pub use links::Links;
pub use manifest::{Gateway, Manifest, MemberEntry};
use member::FIT_WITHIN;
pub use member::{Member, Role};
use plan::Wiring;

/// Everything that runs. Dropping it kills all of it; [`Stack::stop`] is the orderly way.
#[derive(Debug)]
pub struct Stack {
    members: Vec<Member>,
    manifest: Manifest,
    links: Links,
    clocks: Option<Clocks>,
    /// Who is the primary, where PostgreSQL has a standby.
    roles: Option<Roles>,
    dir: PathBuf,
    // Let go last, so that no other stack finds our processes still there.
    _lock: lock::DirLock,
}

impl Stack {
    /// Starts the servers, then the services and gateways, waits until all are fit to serve and seeds the match `demo`.
    ///
    /// # Errors
    /// When a port is busy, a program is missing, another stack uses the folder, or a process ends or does not get
    /// ready. Whatever had been started is killed then.
    pub async fn start(config: &StackConfig) -> Result<Self> {
        let dir = std::path::absolute(&config.dir).context("no working directory")?;
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let lock = lock::DirLock::take(&dir)?;
        let gateway_ports = gateway_ports(config)?;
        let programs = plan::programs(config)?;
        for name in plan::unknown_variables(config, &programs) {
            note(format_args!("no service reads the variable {name}: is it misspelt?"));
        }
        let jwt_secret = match config.given("JWT_SECRET").and_then(|secret| secret.to_str()) {
            Some(given) => given.to_owned(),
            None => token::jwt_secret(&dir)?,
        };

        let (servers, addresses) = servers::start(config, &dir).await?;
        let addresses = addresses.unless_given(config);
        let servers::Started { members, roles } = servers;
        let wiring = Wiring { programs, log_dir: dir.join("log"), addresses, jwt_secret };
        let clocks = if config.has_clocks { Some(Clocks::create(&dir)?) } else { None };
        let (mut services, mut manifest) = plan::services(config, &wiring, gateway_ports)?;
        let links = if config.proxied { Links::between(&mut services, &mut manifest)? } else { Links::default() };
        if let Some(clocks) = &clocks {
            clocks.hand_out(&mut services)?;
        }
        let mut stack = Self { members, manifest, links, clocks, roles, dir, _lock: lock };
        stack.start_services(services).await?;
        stack.write_manifest()?;
        seed::demo_match(&stack.manifest).await?;
        Ok(stack)
    }

    /// Ends all of it in good order: gateways, then services, then servers; who takes too long is killed.
    pub async fn stop(mut self) {
        Manifest::remove(&self.dir);
        for role in [Role::Gateway, Role::Service, Role::Server] {
            let mut group: Vec<&mut Daemon> =
                self.members.iter_mut().filter(|member| member.role == role).map(|member| &mut member.daemon).collect();
            for daemon in &mut group {
                // Refused only if it has just ended; else the kill below ends it.
                let _ = daemon.request_stop();
            }
            for daemon in &mut group {
                let _ = daemon.ended().await;
            }
        }
    }

    /// All processes: servers, services, gateways.
    pub fn members_mut(&mut self) -> &mut [Member] {
        &mut self.members
    }

    /// The process of this name: `nats` (of a cluster `nats-0`, …), `redis`, `postgres` (with a standby `postgres-0`
    /// and
    /// `postgres-1`, and `postgres` is the primary), `gateway-0`, `chat-service-1`, …
    pub fn member_mut(&mut self, name: &str) -> Option<&mut Member> {
        let name = match &self.roles {
            Some(roles) if name == "postgres" => roles.primary_name(),
            _ => name,
        };
        self.members.iter_mut().find(|member| member.daemon.name() == name)
    }

    /// Addresses, process ids and the token secret, as in `stack.json`.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The links between the processes; none unless they are proxied.
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// The services' wall clocks, if they can be set.
    pub fn clocks(&self) -> Option<&Clocks> {
        self.clocks.as_ref()
    }

    /// Writes `stack.json` anew, after a process has got another id.
    ///
    /// # Errors
    /// When the data folder cannot be written.
    pub fn write_manifest(&mut self) -> Result<()> {
        self.manifest.members = self.members.iter_mut().map(MemberEntry::of).collect();
        self.manifest.write(&self.dir)
    }

    /// Waits until all services and gateways are fit to serve.
    ///
    /// # Errors
    /// When one ends meanwhile or is not fit within a minute.
    pub async fn fit(&mut self) -> Result<()> {
        let deadline = Instant::now() + FIT_WITHIN;
        for member in &mut self.members {
            member.fit(deadline).await?;
        }
        Ok(())
    }

    async fn start_services(&mut self, services: Vec<plan::Planned>) -> Result<()> {
        let from = self.members.len();
        for planned in services {
            self.members.push(planned.release_and_launch().await?);
        }
        for member in &mut self.members[from..] {
            member.daemon.ready().await?;
        }
        note("services and gateways run, waiting until they are fit to serve");
        self.fit().await
    }
}

fn gateway_ports(config: &StackConfig) -> Result<Vec<Reservation>> {
    let port = |i: u16| config.port.checked_add(i).context("--port is too high for that many gateways");
    (0..config.gateways)
        .map(|i| match config.port {
            0 => Reservation::any(),
            _ => Reservation::of(port(i)?),
        })
        .collect()
}

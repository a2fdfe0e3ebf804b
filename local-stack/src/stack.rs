//! The whole system: the servers, the services and the gateways, started in order and stopped in order.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use clap::{Args, FromArgMatches};
use tokio::time::{Instant, sleep};

use crate::{
    daemon::{Daemon, Probe},
    note::note,
    ports::Reservation,
    servers::Roles,
    token,
};

mod clocks;
mod links;
mod lock;
mod manifest;
mod operations;
mod plan;
mod seed;
mod servers;
mod variables;

pub use clocks::Clocks;
pub use links::Links;
pub use manifest::{Gateway, Manifest, MemberEntry};
use plan::Wiring;

/// Where the data of a stack lies unless said otherwise, below the working directory.
pub const DEFAULT_DIR: &str = ".local/run";
/// From all processes running to all of them fit to serve.
const FIT_WITHIN: Duration = Duration::from_mins(1);
const FIT_POLL: Duration = Duration::from_millis(20);

/// What to start.
#[derive(Args, Clone, Debug)]
pub struct StackConfig {
    /// How many gateways
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub gateways: u16,
    /// How many replicas of each service behind them
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub replicas: u16,
    /// Gateway i listens on this port + i; 0 = free ports
    #[arg(long, default_value_t = 5000)]
    pub port: u16,
    /// The data folder; it is kept, so that the next start finds the same matches and messages
    #[arg(long, default_value = DEFAULT_DIR)]
    pub dir: PathBuf,
    /// How many NATS servers: 1, or a cluster of 3 or 5
    #[arg(long, default_value_t = 1, value_parser = nats_servers)]
    pub nats: u16,
    /// PostgreSQL with a standby that each COMMIT waits for
    #[arg(long)]
    pub pg_standby: bool,
    /// How long a call rings
    #[arg(long)]
    pub ring_timeout_s: Option<u32>,
    /// Milestones of your own (YAML)
    #[arg(long)]
    pub milestones_file: Option<PathBuf>,
    /// Send traces and metrics there (OTLP over gRPC), e.g. <http://127.0.0.1:4317>
    #[arg(long)]
    pub otlp_endpoint: Option<String>,
    /// A variable for the services, e.g. `RUST_LOG=debug`; wins over what the stack sets; may be given more than once. `LIMIT_SENDS`
    /// alone raises the limits of sends in a match with it
    #[arg(long, value_name = "KEY=VALUE", value_parser = variables::key_value)]
    pub env: Vec<(String, OsString)>,
    /// For fault injection: every link between two processes goes through a proxy, see [`Stack::links`]
    #[arg(skip)]
    pub proxied: bool,
    /// For fault injection: the wall clock of every service can be set, see [`Stack::clocks`]
    #[arg(skip)]
    pub has_clocks: bool,
    /// Where the services' programs lie, if not beside this one
    #[arg(skip)]
    pub programs: Option<PathBuf>,
}

impl Default for StackConfig {
    /// As with no flag given.
    fn default() -> Self {
        let matches = Self::augment_args(clap::Command::new("stack")).get_matches_from([""; 0]);
        // Every flag has a default, so this cannot fail.
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// A majority has to agree, and each stream has three copies.
fn nats_servers(text: &str) -> Result<u16, String> {
    match text {
        "1" => Ok(1),
        "3" => Ok(3),
        "5" => Ok(5),
        _ => Err("expected 1, 3 or 5".to_owned()),
    }
}

/// Which part of the system a member is; parts stop in this order, and start in the reverse one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Role {
    /// Clients connect to it.
    Gateway,
    /// One of the services behind the gateways.
    Service,
    /// NATS, Redis or PostgreSQL.
    Server,
}

/// One process of the stack.
#[derive(Debug)]
pub struct Member {
    /// What it is.
    pub role: Role,
    /// The process.
    pub daemon: Daemon,
    /// The port of `/healthz` and `/readyz`, except for servers.
    pub health_port: Option<u16>,
    /// The port of its gRPC interface, for services.
    pub grpc_port: Option<u16>,
}

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

    /// The process of this name: `nats` (of a cluster `nats-0`, …), `redis`, `postgres` (with a standby `postgres-0` and
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

impl Member {
    async fn fit(&mut self, deadline: Instant) -> Result<()> {
        let Some(port) = self.health_port else { return Ok(()) };
        let probe = Probe::http(port, "/readyz");
        while let Some(pid) = self.daemon.pid() {
            if probe.succeeds(pid).await {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{} is not fit to serve after {FIT_WITHIN:?}{}", self.daemon.name(), self.daemon.quote());
            }
            sleep(FIT_POLL).await;
        }
        bail!("{}", self.daemon.obituary())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_without_flags_is_the_smallest() {
        let config = StackConfig::default();
        assert_eq!((config.gateways, config.replicas, config.proxied), (1, 1, false));
    }
}

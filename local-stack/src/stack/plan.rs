//! Which services run, where they listen and what they are told about each other.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use super::{Gateway, Manifest, Member, Role, StackConfig, servers::Addresses, variables};
use crate::{
    daemon::{Daemon, Probe, Recipe},
    ports::Reservation,
    process::Launch,
};

const BINARIES: [&str; 4] = ["chat-service", "milestone-service", "signaling-service", "gateway"];
const READY_WITHIN: Duration = Duration::from_secs(20);
/// What the services get to finish what is in flight, and a little more before they are killed.
const SHUTDOWN_TIMEOUT_S: u64 = 5;
const STOP_WITHIN: Duration = Duration::from_secs(SHUTDOWN_TIMEOUT_S + 2);
/// The one flag whose variable has another name, that of the OpenTelemetry specification.
const OTLP_FLAG: &str = "--otlp-endpoint";
const OTLP_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// Bytes a minute: more than anybody sends in a test.
const UNLIMITED_BYTES: &str = "4000000000";
/// Pages of other servers of the developer may use polling and REST.
const CORS_ORIGINS: &str = "http://localhost:*";

/// What the services share.
#[derive(Debug)]
pub(super) struct Wiring {
    pub(super) programs: PathBuf,
    pub(super) log_dir: PathBuf,
    pub(super) addresses: Addresses,
    pub(super) jwt_secret: String,
}

/// A member before its start, with its ports still kept.
#[derive(Debug)]
pub(super) struct Planned {
    recipe: Recipe,
    role: Role,
    health: Reservation,
    /// Of clients.
    public: Option<Reservation>,
    grpc: Option<Reservation>,
}

impl Planned {
    pub(super) fn name(&self) -> &str {
        &self.recipe.launch.name
    }

    pub(super) fn grpc_port(&self) -> Option<u16> {
        self.grpc.as_ref().map(Reservation::port)
    }

    pub(super) fn launch_mut(&mut self) -> &mut Launch {
        &mut self.recipe.launch
    }

    pub(super) async fn release_and_launch(self) -> Result<Member> {
        let (health_port, grpc_port) = (Some(self.health.port()), self.grpc_port());
        let mut daemon = Daemon::new(self.recipe);
        for reservation in [Some(self.health), self.public, self.grpc].into_iter().flatten() {
            daemon.keep(reservation.release().await);
        }
        daemon.launch()?;
        Ok(Member { role: self.role, daemon, health_port, grpc_port })
    }
}

/// The folder of the services' programs: that of this one, in which they were built too, unless another is given.
pub(super) fn programs(config: &StackConfig) -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find the own program")?;
    let folder = config.programs.as_deref().or(own.parent()).context("cannot find the own program's folder")?;
    match BINARIES.iter().find(|name| !folder.join(name).is_file()) {
        None => Ok(folder.to_owned()),
        Some(missing) => {
            bail!(
                "{} is missing: run ./dev test, or build the whole workspace with this profile",
                folder.join(missing).display()
            )
        }
    }
}

/// The variables that the developer gave and no service reads.
pub(super) fn unknown_variables(config: &StackConfig, programs: &Path) -> BTreeSet<String> {
    let given: Vec<&str> = config.env.iter().map(|(name, _)| name.as_str()).collect();
    variables::unknown(programs, &BINARIES, &given)
}

/// All services and gateways, each told of all the others it talks to.
pub(super) fn services(
    config: &StackConfig,
    wiring: &Wiring,
    gateways: Vec<Reservation>,
) -> Result<(Vec<Planned>, Manifest)> {
    let gateways = gateways.into_iter().map(|public| Ok((public, Reservation::any()?))).collect::<Result<Vec<_>>>()?;
    let chat = Replicas::reserve("chat-service", config.replicas)?;
    let milestone = Replicas::reserve("milestone-service", config.replicas)?;
    let signaling = Replicas::reserve("signaling-service", config.replicas)?;
    let wirer = Wirer { config, wiring };
    let manifest = wirer.manifest(&gateways);

    let peers = [("--chat-service", &chat), ("--milestone-service", &milestone), ("--signaling-service", &signaling)]
        .map(|(flag, replicas)| Setting::new(flag, replicas.addresses()));
    let [chat_peer, milestone_peer, signaling_peer] = peers;
    let redis = Setting::new("--redis-url", &wiring.addresses.redis);

    let mut planned = wirer.replicas(chat, &[]);
    let mut settings = vec![redis.clone(), chat_peer.clone()];
    settings.extend(config.milestones_file.as_ref().map(|file| Setting::new("--milestones-file", file)));
    planned.extend(wirer.replicas(milestone, &settings));
    let mut settings = vec![redis, chat_peer.clone(), milestone_peer.clone()];
    settings.extend(config.ring_timeout_s.map(|s| Setting::new("--ring-timeout-s", s.to_string())));
    planned.extend(wirer.replicas(signaling, &settings));
    planned.extend(wirer.gateways(gateways, &[chat_peer, milestone_peer, signaling_peer]));
    Ok((planned, manifest))
}

/// A flag with its value.
#[derive(Clone, Debug)]
struct Setting(&'static str, OsString);

impl Setting {
    fn new(flag: &'static str, value: impl Into<OsString>) -> Self {
        Self(flag, value.into())
    }

    /// The variable that means the same.
    fn variable(&self) -> String {
        match self.0 {
            OTLP_FLAG => OTLP_VARIABLE.to_owned(),
            flag => flag.trim_start_matches("--").replace('-', "_").to_ascii_uppercase(),
        }
    }
}

/// The ports of all replicas of one service.
struct Replicas {
    service: &'static str,
    ports: Vec<Ports>,
}

struct Ports {
    grpc: Reservation,
    health: Reservation,
}

impl Replicas {
    fn reserve(service: &'static str, count: u16) -> Result<Self> {
        let ports = (0..count).map(|_| Ok(Ports { grpc: Reservation::any()?, health: Reservation::any()? }));
        Ok(Self { service, ports: ports.collect::<Result<_>>()? })
    }

    /// Comma list of `host:port` for those who call it.
    fn addresses(&self) -> String {
        self.ports.iter().map(|ports| loopback(ports.grpc.port())).collect::<Vec<_>>().join(",")
    }
}

struct Wirer<'a> {
    config: &'a StackConfig,
    wiring: &'a Wiring,
}

impl Wirer<'_> {
    fn replicas(&self, Replicas { service, ports }: Replicas, settings: &[Setting]) -> Vec<Planned> {
        let planned = ports.into_iter().enumerate().map(|(i, Ports { grpc, health })| {
            let mut settings = settings.to_vec();
            settings.push(Setting::new("--grpc-listen", loopback(grpc.port())));
            settings.push(Setting::new("--health-listen", loopback(health.port())));
            let recipe = self.recipe(service, i, health.port(), settings);
            Planned { recipe, role: Role::Service, health, public: None, grpc: Some(grpc) }
        });
        planned.collect()
    }

    fn gateways(&self, ports: Vec<(Reservation, Reservation)>, peers: &[Setting]) -> Vec<Planned> {
        let planned = ports.into_iter().enumerate().map(|(i, (public, health))| {
            let mut settings = peers.to_vec();
            settings.push(Setting::new("--listen", loopback(public.port())));
            settings.push(Setting::new("--health-listen", loopback(health.port())));
            settings.push(Setting::new("--cors-origins", CORS_ORIGINS));
            let recipe = self.recipe("gateway", i, health.port(), settings);
            Planned { recipe, role: Role::Gateway, health, public: Some(public), grpc: None }
        });
        planned.collect()
    }

    fn recipe(&self, binary: &'static str, i: usize, health_port: u16, mut settings: Vec<Setting>) -> Recipe {
        settings.push(Setting::new("--nats-url", &self.wiring.addresses.nats));
        settings.push(Setting::new("--shutdown-timeout-s", SHUTDOWN_TIMEOUT_S.to_string()));
        settings.extend(self.config.otlp_endpoint.as_ref().map(|url| Setting::new(OTLP_FLAG, url)));
        // A flag would win over the variable that the developer gave.
        settings.retain(|setting| !self.config.gives(&setting.variable()));
        let name = format!("{binary}-{i}");
        let launch = Launch {
            program: self.wiring.programs.join(binary),
            args: settings.into_iter().flat_map(|Setting(flag, value)| [flag.into(), value]).collect(),
            env: self.environment(binary),
            log: self.wiring.log_dir.join(format!("{name}.log")),
            orphan_signal: "KILL",
            user: None,
            name,
        };
        Recipe {
            launch,
            // Running, not yet fit: a service waits for what it needs, however long that is away.
            probe: Probe::http(health_port, "/healthz"),
            stop_signal: Signal::TERM,
            abort_signal: None,
            not_yet: &[],
            ready_within: READY_WITHIN,
            stop_within: STOP_WITHIN,
        }
    }

    /// Secrets go by environment: everybody on the machine can read arguments.
    fn environment(&self, binary: &str) -> Vec<(String, OsString)> {
        let mut env = vec![("NO_COLOR".to_owned(), "1".into())];
        env.extend(limits_in_matches(&self.config.env));
        if binary == "gateway" {
            // For people who ask the port that they know.
            env.push(("PUBLIC_HEALTH".to_owned(), "true".into()));
        }
        match binary {
            "chat-service" => env.push(("DATABASE_URL".to_owned(), (&self.wiring.addresses.database).into())),
            "gateway" => env.extend([
                ("JWT_SECRET".to_owned(), (&self.wiring.jwt_secret).into()),
                ("SID_KEYS".to_owned(), format!("sid-{}", self.wiring.jwt_secret).into()),
            ]),
            _ => (),
        }
        // Of two with one name the later one holds.
        env.extend_from_slice(&self.config.env);
        env
    }

    fn manifest(&self, gateways: &[(Reservation, Reservation)]) -> Manifest {
        let gateway = |(i, (public, _)): (usize, &(Reservation, Reservation))| {
            let port = public.port();
            Gateway { name: format!("gateway-{i}"), url: format!("http://localhost:{port}"), port }
        };
        Manifest {
            pid: std::process::id(),
            jwt_secret: self.wiring.jwt_secret.clone(),
            nats_url: self.wiring.addresses.nats.clone(),
            redis_url: self.wiring.addresses.redis.clone(),
            database_url: self.wiring.addresses.database.clone(),
            gateways: gateways.iter().enumerate().map(gateway).collect(),
            members: Vec::new(),
        }
    }
}

/// Whoever may send more than usual may do so in one match, too, unless that is set by itself.
fn limits_in_matches(env: &[(String, OsString)]) -> Vec<(String, OsString)> {
    let value = |wanted: &str| env.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    let Some(sends) = value("LIMIT_SENDS") else { return Vec::new() };
    let follows = [("LIMIT_SENDS_MATCH", sends), ("LIMIT_BYTES_MATCH", UNLIMITED_BYTES.into())];
    follows
        .into_iter()
        .filter(|(name, _)| value(name).is_none())
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn loopback(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

#[cfg(test)]
mod tests;

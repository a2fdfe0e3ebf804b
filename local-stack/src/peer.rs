//! One service as a process of its own, beside what a test of another one starts.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use crate::{
    daemon::{Daemon, Probe, Recipe},
    http::{self, Request},
    ports::Reservation,
    process::Launch,
};

const READY_WITHIN: Duration = Duration::from_secs(30);
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// A running service.
pub struct Peer {
    /// Its process.
    pub daemon: Daemon,
    /// Its gRPC interface, `host:port`.
    pub grpc: String,
    /// The port of `/readyz` and `/metrics`.
    health: u16,
}

impl Peer {
    /// Starts the program `name`, which was built beside the running test, with `args`, and waits until it is fit to
    /// serve. Its log goes to `dir`.
    ///
    /// # Errors
    /// When the program is missing, or not fit within 30 s.
    pub async fn start(name: &str, args: &[&str], dir: &Path) -> Result<Self> {
        let own = std::env::current_exe().context("cannot find the own program")?;
        // Tests lie in a folder below that of the programs.
        let program = own.ancestors().nth(2).context("the own program lies nowhere")?.join(name);
        ensure!(program.is_file(), "{} is missing: cargo build --release -p {name}", program.display());
        let (grpc, health) = (Reservation::any()?, Reservation::any()?);
        let (address, health_port) = (format!("127.0.0.1:{}", grpc.port()), health.port());
        let probe = Probe::http(health_port, "/readyz");
        let listen = ["--grpc-listen", &address, "--health-listen", &format!("127.0.0.1:{health_port}")];
        let launch = Launch {
            name: name.to_owned(),
            program,
            args: args.iter().chain(&listen).map(Into::into).collect(),
            // Tests send at once what people send in minutes.
            env: vec![("LIMIT_SENDS_MATCH".to_owned(), "100000/100000".into())],
            log: dir.join(format!("log/{name}-{}.log", grpc.port())),
            orphan_signal: "KILL",
            user: None,
        };
        let mut daemon = Daemon::new(recipe(launch, probe));
        for port in [grpc, health] {
            daemon.keep(port.release().await);
        }
        daemon.launch()?;
        daemon.ready().await?;
        Ok(Self { daemon, grpc: address, health: health_port })
    }

    /// The value of a metric in `/metrics`, whose names have `_` for `.`: the sum of the lines that begin with `name`
    /// and hold
    /// `label`; 0 when there is none.
    ///
    /// # Errors
    /// When the service does not answer.
    pub async fn metric(&self, name: &str, label: &str) -> Result<f64> {
        let request = Request { method: "GET", path: "/metrics", token: "", body: "" };
        let (_, page) = http::send(self.health, &request).await?;
        let lines = page.lines().filter(|line| line.starts_with(name) && line.contains(label));
        Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }
}

fn recipe(launch: Launch, probe: Probe) -> Recipe {
    Recipe {
        launch,
        probe,
        stop_signal: Signal::TERM,
        abort_signal: None,
        not_yet: &[],
        ready_within: READY_WITHIN,
        stop_within: STOP_WITHIN,
    }
}

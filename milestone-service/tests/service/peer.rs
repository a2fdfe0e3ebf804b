//! Another service as a process of its own.

use std::{path::Path, time::Duration};

use local_stack::{
    daemon::{Daemon, Probe, Recipe},
    ports::Reservation,
    process::Launch,
};
use rustix::process::Signal;

/// A running service.
pub(crate) struct Peer {
    pub(crate) daemon: Daemon,
    pub(crate) grpc: String,
}

impl Peer {
    /// Starts the program `name` with `args` and waits until it is fit to serve.
    pub(crate) async fn start(name: &str, args: &[&str], dir: &Path) -> Self {
        let own = std::env::current_exe().unwrap();
        let program = own.parent().unwrap().parent().unwrap().join(name);
        assert!(program.is_file(), "{} is missing: cargo build --release -p {name}", program.display());
        let (grpc, health) = (Reservation::any().unwrap(), Reservation::any().unwrap());
        let (address, probe) = (format!("127.0.0.1:{}", grpc.port()), Probe::http(health.port(), "/readyz"));
        let listen = ["--grpc-listen", &address, "--health-listen", &format!("127.0.0.1:{}", health.port())];
        let recipe = Recipe {
            launch: Launch {
                name: name.to_owned(),
                program,
                args: args.iter().chain(&listen).map(Into::into).collect(),
                env: Vec::new(),
                log: dir.join(format!("log/{name}-{}.log", grpc.port())),
                orphan_signal: "KILL",
                user: None,
            },
            probe,
            stop_signal: Signal::TERM,
            abort_signal: None,
            not_yet: &[],
            ready_within: Duration::from_secs(30),
            stop_within: Duration::from_secs(10),
        };
        drop((grpc, health));
        Self { daemon: Daemon::start(recipe).await.unwrap(), grpc: address }
    }
}

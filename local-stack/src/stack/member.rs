//! One process of a stack.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

use crate::daemon::{Daemon, Probe};

/// From all processes running to all of them fit to serve.
pub(super) const FIT_WITHIN: Duration = Duration::from_mins(1);
const FIT_POLL: Duration = Duration::from_millis(20);

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

impl Member {
    /// Waits until it is fit to serve.
    pub(super) async fn fit(&mut self, deadline: Instant) -> Result<()> {
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

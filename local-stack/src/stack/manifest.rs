//! `stack.json`: what tools and tests need to know about a running stack.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::Member;
use crate::secret;

const FILE: &str = "stack.json";

/// Addresses, process ids and secrets of a running stack. Only its owner can read the file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Of the `local-stack` process.
    pub pid: u32,
    /// Signs the tokens that the gateways accept (HS256).
    pub jwt_secret: String,
    /// NATS with JetStream.
    pub nats_url: String,
    /// Redis.
    pub redis_url: String,
    /// chat-service's database, with the password.
    pub database_url: String,
    /// Where clients connect.
    pub gateways: Vec<Gateway>,
    /// Every process.
    pub members: Vec<MemberEntry>,
}

/// Where clients connect.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Gateway {
    /// `gateway-0`, …
    pub name: String,
    /// Socket.IO and REST.
    pub url: String,
    /// The port in the URL.
    pub port: u16,
}

/// One process.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct MemberEntry {
    /// `nats`, `chat-service-0`, …
    pub name: String,
    /// Absent while it is down.
    pub pid: Option<u32>,
    /// The base URL of `/healthz`, `/readyz` and `/metrics`; servers have none.
    pub health: Option<String>,
    /// `host:port` of its gRPC interface; only services have one.
    pub grpc: Option<String>,
    /// Its output.
    pub log: PathBuf,
}

impl Manifest {
    /// The manifest of the stack that runs on this data folder.
    ///
    /// # Errors
    /// When none runs there.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        let text = std::fs::read_to_string(&path).with_context(|| format!("no stack runs on {}", dir.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not a manifest", path.display()))
    }

    pub(super) fn write(&self, dir: &Path) -> Result<()> {
        secret::write_private(&dir.join(FILE), &serde_json::to_string_pretty(self)?)
    }

    pub(super) fn remove(dir: &Path) {
        // A stale one does no harm: what it names is not there.
        let _ = std::fs::remove_file(dir.join(FILE));
    }
}

impl MemberEntry {
    pub(super) fn of(member: &mut Member) -> Self {
        Self {
            name: member.daemon.name().to_owned(),
            pid: member.daemon.pid(),
            health: member.health_port.map(|port| format!("http://127.0.0.1:{port}")),
            grpc: member.grpc_port.map(|port| format!("127.0.0.1:{port}")),
            log: member.daemon.log().clone(),
        }
    }
}

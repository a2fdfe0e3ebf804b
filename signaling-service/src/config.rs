//! The flags of signaling-service. Each is an environment variable too.

use std::net::SocketAddr;

use clap::{Parser, value_parser};
use service_kit::config::{HealthConfig, NatsConfig, ProcessConfig, RedisConfig};

use crate::{call::Timing, quota::RingQuotas};

/// Connects the two members of a match in a call.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct Config {
    /// Logs, traces, the stop.
    #[command(flatten)]
    pub process: ProcessConfig,

    /// Where commands come from and events go to.
    #[command(flatten)]
    pub nats: NatsConfig,

    /// Where live calls are kept.
    #[command(flatten)]
    pub redis: RedisConfig,

    /// Where the service tells how it is.
    #[command(flatten)]
    pub health: HealthConfig,

    /// The address of the gRPC service.
    #[arg(long, env = "GRPC_LISTEN", default_value = "127.0.0.1:7003")]
    pub grpc_listen: SocketAddr,

    /// The replicas of chat-service, as `host:port` separated by commas.
    #[arg(long, env = "CHAT_SERVICE", value_delimiter = ',', default_value = "127.0.0.1:7001")]
    pub chat_service: Vec<String>,

    /// The replicas of milestone-service, as `host:port` separated by commas.
    #[arg(long, env = "MILESTONE_SERVICE", value_delimiter = ',', default_value = "127.0.0.1:7002")]
    pub milestone_service: Vec<String>,

    /// How many seconds a call rings before it ends as `no_answer`.
    #[arg(long, env = "RING_TIMEOUT_S", default_value_t = 45, value_parser = value_parser!(u32).range(1..))]
    pub ring_timeout_s: u32,

    /// How many seconds a device may go without renewing its lease before its call ends as `connection_lost`.
    #[arg(long, env = "LEASE_S", default_value_t = 45, value_parser = value_parser!(u32).range(1..))]
    pub lease_s: u32,

    /// How many seconds a call may last after it was accepted.
    #[arg(long, env = "MAX_CALL_S", default_value_t = 4 * 3_600, value_parser = value_parser!(u32).range(1..))]
    pub max_call_s: u32,

    /// How often somebody may ring.
    #[command(flatten)]
    pub ring_quotas: RingQuotas,
}

impl Config {
    /// How long things of a call may take.
    pub fn timing(&self) -> Timing {
        Timing {
            ring_ms: i64::from(self.ring_timeout_s) * 1_000,
            lease_ms: i64::from(self.lease_s) * 1_000,
            max_call_ms: i64::from(self.max_call_s) * 1_000,
        }
    }
}

impl AsRef<ProcessConfig> for Config {
    fn as_ref(&self) -> &ProcessConfig {
        &self.process
    }
}

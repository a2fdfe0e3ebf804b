//! The flags of milestone-service. Each is an environment variable too.

use std::{net::SocketAddr, path::PathBuf};

use clap::Parser;
use service_kit::config::{HealthConfig, NatsConfig, ProcessConfig, RedisConfig};

/// Counts the messages of every match and records the milestones that it reaches.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct Config {
    /// Logs, traces, the stop.
    #[command(flatten)]
    pub process: ProcessConfig,

    /// Where commits are heard of.
    #[command(flatten)]
    pub nats: NatsConfig,

    /// Where counts are kept.
    #[command(flatten)]
    pub redis: RedisConfig,

    /// Where the service tells how it is.
    #[command(flatten)]
    pub health: HealthConfig,

    /// The address of the gRPC service.
    #[arg(long, env = "GRPC_LISTEN", default_value = "127.0.0.1:7002")]
    pub grpc_listen: SocketAddr,

    /// The replicas of chat-service, as `host:port` separated by commas.
    #[arg(long, env = "CHAT_SERVICE", value_delimiter = ',', default_value = "127.0.0.1:7001")]
    pub chat_service: Vec<String>,

    /// The milestones as YAML. Absent: 100 messages unlock `video_call`.
    #[arg(long, env = "MILESTONES_FILE")]
    pub milestones_file: Option<PathBuf>,
}

impl AsRef<ProcessConfig> for Config {
    fn as_ref(&self) -> &ProcessConfig {
        &self.process
    }
}

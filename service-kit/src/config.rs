//! The flags that every service has. Each is an environment variable too.

use std::{net::SocketAddr, time::Duration};

use clap::{Args, ValueEnum};

/// Whether something is done at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// It is.
    On,
    /// It is not.
    Off,
}

impl Switch {
    /// Whether it is on.
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

/// What every process needs: logs, traces, and how long it may take to stop.
#[derive(Debug, Clone, Args)]
pub struct ProcessConfig {
    /// How log lines are written.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value = "pretty")]
    pub log_format: LogFormat,

    /// Which log lines are written, as tracing's `EnvFilter` has it: `info`, `gateway=debug,info`. Of the libraries for
    /// NATS, Redis, HTTP and gRPC, which have lines for each attempt to connect, only warnings are written unless they
    /// are named: `info,async_nats=info`.
    #[arg(long, env = "RUST_LOG", default_value = "info")]
    pub log_filter: String,

    /// Where to export traces and metrics by OTLP over gRPC, e.g. `http://127.0.0.1:4317`. Absent: nowhere.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,

    /// How many seconds a stop may take before what still runs is dropped; the exit code is 1 then. 0: at once, as it
    /// was asked for.
    #[arg(long, env = "SHUTDOWN_TIMEOUT_S", default_value_t = 30)]
    pub shutdown_timeout_s: u64,
}

impl ProcessConfig {
    pub(crate) fn shutdown_timeout(&self) -> Duration {
        Duration::from_secs(self.shutdown_timeout_s)
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

/// How to reach NATS.
#[derive(Debug, Clone, Args)]
pub struct NatsConfig {
    /// The servers of the cluster, separated by commas.
    #[arg(long, env = "NATS_URL", value_delimiter = ',', default_value = "nats://127.0.0.1:4222", value_parser = nats_server)]
    pub nats_url: Vec<async_nats::ServerAddr>,

    /// Stands before every subject, stream and Redis key (`t1.` makes `t1.user.alice.chat`), so that stacks can share
    /// servers.
    #[arg(long, env = "PREFIX", default_value = "")]
    pub prefix: String,
}

fn nats_server(text: &str) -> Result<async_nats::ServerAddr, String> {
    let server: async_nats::ServerAddr = text.parse().map_err(|error: std::io::Error| error.to_string())?;
    if server.host().is_empty() { Err("it names no host".to_owned()) } else { Ok(server) }
}

/// How to reach Redis.
#[derive(Debug, Clone, Args)]
pub struct RedisConfig {
    /// The server, as `redis://[user:password@]host:port[/database]`.
    #[arg(long, env = "REDIS_URL", hide_env_values = true, default_value = "redis://127.0.0.1:6379")]
    pub redis_url: String,
}

/// Where a service answers `/healthz`, `/readyz` and `/metrics`.
#[derive(Debug, Clone, Args)]
pub struct HealthConfig {
    /// The address of `/healthz`, `/readyz` and `/metrics`.
    #[arg(long, env = "HEALTH_LISTEN", default_value = "127.0.0.1:0")]
    pub health_listen: SocketAddr,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nats_server_has_a_host() {
        assert_eq!(nats_server("nats://a:1").unwrap().port(), 1);
        assert_eq!(nats_server("a").unwrap().port(), 4222);
        for text in ["", "nats://", "nats://:4222", "http://a", "nats://a b", "nats://a:x"] {
            assert!(nats_server(text).is_err(), "{text}");
        }
    }
}

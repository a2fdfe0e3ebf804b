//! The flags of chat-service.

use std::{convert::Infallible, fmt, net::SocketAddr, str::FromStr, time::Duration};

use clap::Parser;
use service_kit::{
    NatsConfig, ProcessConfig,
    config::{HealthConfig, Switch},
    period,
};

use crate::{command::Windows, limits::SendRates, rpc::Rules};

/// Stores messages and matches in PostgreSQL, and tells all members.
#[derive(Debug, Clone, Parser)]
#[command(name = "chat-service", version)]
pub struct Config {
    /// PostgreSQL, as libpq's URL or keywords. Several hosts: the one that takes writes is used.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: DatabaseUrl,

    /// Where the other services reach this one by gRPC.
    #[arg(long, env = "GRPC_LISTEN", default_value = "127.0.0.1:7001")]
    pub grpc_listen: SocketAddr,

    /// How many batches may commit at once. One does nearly all the work; the others go on while it is held up.
    #[arg(long, env = "LANES", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub lanes: u16,

    /// The least time between the beginnings of two COMMITs. The first after quiet begins at once; what comes until the
    /// next may begin goes together, which costs less the more that is.
    #[arg(long, env = "COMMIT_INTERVAL_MS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(..=100))]
    pub commit_interval_ms: u64,

    /// For how long a revocation is kept beyond its `notBefore`, as `31d`, `12h`, `15m`, `3600s` or in seconds: at
    /// least a day longer than `--jwt-max-lifetime` of the gateways, or tokens that were revoked are good again.
    #[arg(long, env = "REVOCATION_RETENTION", value_name = "TIME", default_value = "31d", value_parser = period::parse)]
    pub revocation_retention: Duration,

    /// For how long a sender may edit a message, as `15m`, `900s` or in seconds; 0: never.
    #[arg(long, env = "EDIT_WINDOW", value_name = "TIME", default_value = "15m", value_parser = period::parse_or_off)]
    pub edit_window: Duration,

    /// For how long a sender may delete a message for everyone; 0: never.
    #[arg(long, env = "UNSEND_WINDOW", value_name = "TIME", default_value = "24h", value_parser = period::parse_or_off)]
    pub unsend_window: Duration,

    /// For how long the bodies of edited and deleted messages are kept, which only reports read.
    #[arg(long, env = "DELETED_RETENTION", value_name = "TIME", default_value = "30d", value_parser = period::parse)]
    pub deleted_retention: Duration,

    /// For how long reports and their evidence are kept.
    #[arg(long, env = "REPORT_RETENTION", value_name = "TIME", default_value = "365d", value_parser = period::parse)]
    pub report_retention: Duration,

    /// For how long the receipt of a user's erasure can be read after it is done.
    #[arg(long, env = "ERASURE_RETENTION", value_name = "TIME", default_value = "90d", value_parser = period::parse)]
    pub erasure_retention: Duration,

    /// Most members of a group.
    #[arg(long, env = "MAX_GROUP", value_name = "N", default_value_t = 256,
          value_parser = clap::value_parser!(u16).range(2..=1_000))]
    pub max_group: u16,

    /// Whether it is noted and told how far members have read and received.
    #[arg(long, env = "RECEIPTS", value_name = "ON|OFF", value_enum, default_value = "on")]
    pub receipts: Switch,

    /// How much each sender may send in each match.
    #[command(flatten)]
    pub rates: SendRates,

    /// `/healthz`, `/readyz`, `/metrics`.
    #[command(flatten)]
    pub health: HealthConfig,

    /// NATS.
    #[command(flatten)]
    pub nats: NatsConfig,

    /// Logs, traces, how to stop.
    #[command(flatten)]
    pub process: ProcessConfig,
}

impl Config {
    /// What may be written to matches.
    pub(crate) fn rules(&self) -> Rules {
        let windows = Windows { edit: self.edit_window, unsend: self.unsend_window };
        Rules { windows, max_group: usize::from(self.max_group) }
    }
}

impl AsRef<ProcessConfig> for Config {
    fn as_ref(&self) -> &ProcessConfig {
        &self.process
    }
}

/// Where PostgreSQL is, with the password. Read only at the start, so that no message about a malformed one repeats it.
#[derive(Clone)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// What it says.
    ///
    /// # Errors
    /// When it is neither a URL nor keywords as libpq has them.
    pub fn parse(&self) -> Result<tokio_postgres::Config, tokio_postgres::Error> {
        self.0.parse()
    }
}

impl FromStr for DatabaseUrl {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

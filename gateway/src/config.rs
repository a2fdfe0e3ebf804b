//! The flags of the gateway. Each is an environment variable too.

mod transport;

pub use transport::TransportLimits;

use std::{convert::Infallible, fmt, net::SocketAddr, str::FromStr};

use anyhow::anyhow;
use clap::{Parser, ValueEnum, builder::BoolishValueParser};
use service_kit::{
    NatsConfig, ProcessConfig,
    config::{HealthConfig, Switch},
};

use crate::{
    auth::AuthConfig,
    cors::Origins,
    egress::Targets,
    forwarding::SealKeys,
    limits::{SeatLimits, UserRates},
    listener::Networks,
    views::MessageFields,
};

/// Holds the clients' connections: Socket.IO and REST in front of the services.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct Config {
    /// The address of Socket.IO, REST and `/openapi.json`.
    #[arg(long, env = "LISTEN", default_value = "0.0.0.0:5000")]
    pub listen: SocketAddr,

    /// Where it tells how it is.
    #[command(flatten)]
    pub health: HealthConfig,

    /// `/healthz`, `/readyz` and `/metrics` answer on the clients' port too, under the clients' limits.
    #[arg(long, env = "PUBLIC_HEALTH", value_parser = BoolishValueParser::new())]
    pub public_health: bool,

    /// Where the other gateways reach this one, as they pass on what belongs to its long-polling sessions: `IP:PORT`.
    /// Absent: the address it listens on, or if that is any, the one from which it reaches NATS.
    #[arg(long, env = "ADVERTISE")]
    pub advertise: Option<SocketAddr>,

    /// The secrets that all gateways share to seal session ids, separated by commas, each of at least 32 bytes, as
    /// `openssl rand -base64 32` makes them; the first one seals, all are believed. Absent: a random one, and then only
    /// this gateway can take its sessions' requests.
    #[arg(long, env = "SID_KEYS", hide_env_values = true)]
    pub sid_keys: Option<SidKeys>,

    /// The keys of tokens.
    #[command(flatten)]
    pub auth: AuthConfig,

    /// Web pages that may use polling and REST, separated by commas: `https://app.example`, `http://localhost:*`, `*`.
    #[arg(long, env = "CORS_ORIGINS", default_value = "")]
    pub cors_origins: Origins,

    /// Whether it is noted and told how far members have read and received; as chat-service has it.
    #[arg(long, env = "RECEIPTS", value_name = "ON|OFF", value_enum, default_value = "on")]
    pub receipts: Switch,

    /// Networks of proxies whose `X-Forwarded-For` is believed, in CIDR notation, separated by commas.
    #[arg(long, env = "TRUSTED_PROXIES", default_value = "")]
    pub trusted_proxies: Networks,

    /// The replicas of chat-service, as `host:port` separated by commas.
    #[arg(long, env = "CHAT_SERVICE", value_delimiter = ',', default_value = "127.0.0.1:7001")]
    pub chat_service: Vec<String>,

    /// The replicas of milestone-service, as `host:port` separated by commas.
    #[arg(long, env = "MILESTONE_SERVICE", value_delimiter = ',', default_value = "127.0.0.1:7002")]
    pub milestone_service: Vec<String>,

    /// The replicas of signaling-service, as `host:port` separated by commas.
    #[arg(long, env = "SIGNALING_SERVICE", value_delimiter = ',', default_value = "127.0.0.1:7003")]
    pub signaling_service: Vec<String>,

    /// How often each user may do something.
    #[command(flatten)]
    pub rates: UserRates,

    /// How many sockets each user may have.
    #[command(flatten)]
    pub seats: SeatLimits,

    /// Where clients find the fields of an object message: `spread` beside the message's own fields too, or `nested` in
    /// `message` only.
    #[arg(long, env = "MESSAGE_FIELDS", value_enum, default_value_t = Fields::Spread)]
    pub message_fields: Fields,

    /// What each connection may hold.
    #[command(flatten)]
    pub transport: TransportLimits,

    /// Seconds that a client has from opening its transport to a CONNECT that is accepted.
    #[arg(long, env = "CONNECT_TIMEOUT_S", default_value_t = 5)]
    pub connect_timeout_s: u64,

    /// Over how many seconds a stop spreads the closing of the clients' transports, so that they do not all come back
    /// at once. At most three quarters of --shutdown-timeout-s, or all but 5 s of it; a longer window is shortened.
    #[arg(long, env = "DRAIN_WINDOW_S", default_value_t = 5)]
    pub drain_window_s: u64,

    /// For how long a user has no socket in use, on any gateway, until others are told that the user is not online. Who
    /// is watched is asked for as often.
    #[arg(long, env = "PRESENCE_GRACE_MS", default_value_t = 30_000,
          value_parser = clap::value_parser!(u64).range(100..=600_000))]
    pub presence_grace_ms: u64,

    /// How to reach NATS.
    #[command(flatten)]
    pub nats: NatsConfig,

    /// Logs, traces, how to stop.
    #[command(flatten)]
    pub process: ProcessConfig,
}

impl AsRef<ProcessConfig> for Config {
    fn as_ref(&self) -> &ProcessConfig {
        &self.process
    }
}

impl Config {
    /// Where the services are.
    pub fn targets(&self) -> Targets {
        Targets {
            chat: self.chat_service.clone(),
            milestones: self.milestone_service.clone(),
            signaling: self.signaling_service.clone(),
        }
    }
}

/// Where clients find the fields of an object message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fields {
    /// In `message`, and beside the message's own fields as well.
    Spread,
    /// In `message` only.
    Nested,
}

impl From<Fields> for MessageFields {
    fn from(fields: Fields) -> Self {
        match fields {
            Fields::Spread => Self::Spread,
            Fields::Nested => Self::Nested,
        }
    }
}

/// The secrets of session ids as they were given. Read only at the start, so that no message about a bad one repeats
/// it.
#[derive(Clone)]
pub struct SidKeys(String);

impl SidKeys {
    /// The keys.
    ///
    /// # Errors
    /// When there is none, or one is too short.
    pub fn read(&self) -> anyhow::Result<SealKeys> {
        self.0.parse().map_err(|reason| anyhow!("--sid-keys: {reason}"))
    }
}

impl FromStr for SidKeys {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for SidKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_is_an_environment_variable() {
        use clap::CommandFactory;
        let command = Config::command();
        for argument in
            command.get_arguments().filter(|argument| !["help", "version"].contains(&argument.get_id().as_str()))
        {
            assert!(argument.get_env().is_some(), "{}", argument.get_id());
        }
    }

    #[test]
    fn a_weak_secret_of_session_ids_is_refused_and_not_repeated() {
        let config = Config::parse_from(["gateway", "--sid-keys", "changeme"]);
        let refusal = format!("{:#}", config.sid_keys.as_ref().unwrap().read().unwrap_err());
        insta::assert_snapshot!(refusal, @"--sid-keys: each secret needs at least 32 bytes, for instance from `openssl rand -base64 32`");
        assert!(!format!("{config:?}").contains("changeme"));
    }

    #[test]
    fn a_malformed_flag_is_refused() {
        for flags in [
            ["--limit-sends", "fast"],
            ["--cors-origins", "nonsense"],
            ["--trusted-proxies", "10.0.0.0/99"],
            ["--jwt-max-lifetime", "0d"],
        ] {
            assert!(Config::try_parse_from(["gateway"].iter().chain(&flags)).is_err(), "{flags:?}");
        }
    }
}

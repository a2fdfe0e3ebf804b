//! The flags of a stack.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, FromArgMatches};

use super::variables;

/// Where the data of a stack lies unless said otherwise, below the working directory.
pub const DEFAULT_DIR: &str = ".local/run";

/// What to start.
#[derive(Args, Clone, Debug)]
pub struct StackConfig {
    /// How many gateways
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub gateways: u16,
    /// How many replicas of each service behind them
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub replicas: u16,
    /// Gateway i listens on this port + i; 0 = free ports
    #[arg(long, default_value_t = 5000)]
    pub port: u16,
    /// The data folder; it is kept, so that the next start finds the same matches and messages
    #[arg(long, default_value = DEFAULT_DIR)]
    pub dir: PathBuf,
    /// How many NATS servers: 1, or a cluster of 3 or 5
    #[arg(long, default_value_t = 1, value_parser = nats_servers)]
    pub nats: u16,
    /// PostgreSQL with a standby that each COMMIT waits for
    #[arg(long)]
    pub pg_standby: bool,
    /// How long a call rings
    #[arg(long)]
    pub ring_timeout_s: Option<u32>,
    /// Milestones of your own (YAML)
    #[arg(long)]
    pub milestones_file: Option<PathBuf>,
    /// Send traces and metrics there (OTLP over gRPC), e.g. <http://127.0.0.1:4317>
    #[arg(long)]
    pub otlp_endpoint: Option<String>,
    /// A variable for the services, e.g. `RUST_LOG=debug`; wins over what the stack sets; may be given more than once.
    /// `LIMIT_SENDS` alone raises the limits of sends in a match with it
    #[arg(long, value_name = "KEY=VALUE", value_parser = variables::key_value)]
    pub env: Vec<(String, OsString)>,
    /// For fault injection: every link between two processes goes through a proxy, see
    /// [`Stack::links`](super::Stack::links)
    #[arg(skip)]
    pub proxied: bool,
    /// For fault injection: the wall clock of every service can be set, see [`Stack::clocks`](super::Stack::clocks)
    #[arg(skip)]
    pub has_clocks: bool,
    /// Where the services' programs lie, if not beside this one
    #[arg(skip)]
    pub programs: Option<PathBuf>,
}

impl Default for StackConfig {
    /// As with no flag given.
    fn default() -> Self {
        let matches = Self::augment_args(clap::Command::new("stack")).get_matches_from([""; 0]);
        // Every flag has a default, so this cannot fail.
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// A majority has to agree, and each stream has three copies.
fn nats_servers(text: &str) -> Result<u16, String> {
    match text {
        "1" => Ok(1),
        "3" => Ok(3),
        "5" => Ok(5),
        _ => Err("expected 1, 3 or 5".to_owned()),
    }
}

impl StackConfig {
    /// Whether `--env` gives this variable.
    pub(super) fn gives(&self, variable: &str) -> bool {
        self.given(variable).is_some()
    }

    /// What `--env` gives this variable; the last one holds.
    pub(super) fn given(&self, variable: &str) -> Option<&OsString> {
        self.env.iter().rev().find(|(key, _)| key == variable).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_without_flags_is_the_smallest() {
        let config = StackConfig::default();
        assert_eq!((config.gateways, config.replicas, config.proxied), (1, 1, false));
    }
}

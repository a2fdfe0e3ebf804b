//! The flags of a run, and what the local stack's description adds to them.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use anyhow::{Context as _, ensure};
use clap::Parser;
use local_stack::stack::Manifest;
use serde::Serialize;

use crate::{arrivals::Spacing, outbox::SendRules, stage::Stage};

/// Files that a process needs beside its connections.
const SPARE_FILES: usize = 100;

const EXIT_CODES: &str = "\
Exit code: 0 every acked message was delivered once and in order; 1 it was not, or nothing was acked, or users were
refused; 2 the run could not start. Ctrl-C ends the sending and prints the report so far, a second one ends
the draining.";

/// Simulated pairs chat across gateways at a fixed rate, whatever the answers. Every acked message must reach the other
/// member once, in seq order; otherwise the exit code is not 0.
// The JSON result repeats it, less the secret.
#[derive(Debug, Clone, Parser, Serialize)]
#[serde(rename_all = "camelCase")]
#[command(name = "load-test", version, after_help = EXIT_CODES)]
pub struct Config {
    /// Gateways, `http://host:port`; several by comma or by repeating. Absent: those of the local stack
    #[arg(long = "url", env = "URLS", value_delimiter = ',', value_name = "URL")]
    pub urls: Vec<String>,
    /// The gateways' HS256 secret, to sign the users' tokens. Absent: that of the local stack
    #[arg(long, env = "JWT_SECRET", hide_env_values = true)]
    #[serde(skip)]
    pub jwt_secret: Option<String>,
    /// Description of the running local stack, as `./dev run` writes it
    #[arg(long, default_value = ".local/run/stack.json", value_name = "FILE")]
    pub stack: PathBuf,
    /// Simulated pairs: two users each, on different gateways if there are several
    #[arg(long, default_value_t = 100)]
    pub pairs: usize,
    /// Messages a second of all users together
    #[arg(long, default_value_t = 100.0)]
    #[serde(rename = "ratePerS")]
    pub rate: f64,
    /// How a user's messages are spaced
    #[arg(long, value_enum, default_value_t = Spacing::Poisson)]
    pub arrivals: Spacing,
    /// Overload: after the measured seconds, this many times the rate for --surge-s, and then the rate again for as
    /// long as before. To see refusals and not repeats, --attempts 1 and a large --window
    #[arg(long, value_name = "FACTOR")]
    pub surge: Option<f64>,
    /// Seconds of a surge, at most 3,600
    #[arg(long, default_value_t = 60.0)]
    pub surge_s: f64,
    /// Seconds of sending that are measured, at most 3,600
    #[arg(long, default_value_t = 10.0)]
    pub duration_s: f64,
    /// Seconds of sending before that, checked but not measured
    #[arg(long, default_value_t = 1.0)]
    pub warmup_s: f64,
    /// Seconds after the last send in which everything open must settle
    #[arg(long, default_value_t = 15.0)]
    pub drain_s: f64,
    /// Messages that a user has in flight at most. With 1, order is checked through repeats too
    #[arg(long, default_value_t = 1)]
    pub window: usize,
    /// Users mark as read what they are given, so that the other member hears of it
    #[arg(long)]
    pub reading: bool,
    /// Characters of a message
    #[arg(long, default_value_t = 40)]
    pub body_chars: usize,
    /// Seconds that an ack may take before the message is sent again, with the same clientId
    #[arg(long, default_value_t = 10.0)]
    pub ack_timeout_s: f64,
    /// How often a message is sent at most
    #[arg(long, default_value_t = 30)]
    pub attempts: u32,
    /// New connections a second while the users join
    #[arg(long, default_value_t = 500.0)]
    pub connect_rate: f64,
    /// Seconds in which all users must have joined
    #[arg(long, default_value_t = 60.0)]
    pub join_timeout_s: f64,
    /// Addresses to connect from, by turns: `127.0.0.2,127.0.0.3`. One address has 28,000 ports per gateway
    #[arg(long, value_delimiter = ',', value_name = "IP")]
    pub source_addresses: Vec<IpAddr>,
    /// Threads of the generator
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    /// Makes the schedule repeatable
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Write the result here
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

impl Config {
    /// Adds what is absent from the local stack's description; fails if that is missing.
    pub fn with_stack(mut self) -> anyhow::Result<Self> {
        if !self.urls.is_empty() && self.jwt_secret.is_some() {
            return Ok(self);
        }
        let file = self.stack.display();
        let hint = || format!("{file}: start `./dev run`, or give --url and --jwt-secret");
        let text = std::fs::read_to_string(&self.stack).with_context(hint)?;
        let stack: Manifest = serde_json::from_str(&text).with_context(|| format!("{file} is not as expected"))?;
        if self.urls.is_empty() {
            self.urls = stack.gateways.into_iter().map(|gateway| gateway.url).collect();
        }
        self.jwt_secret.get_or_insert(stack.jwt_secret);
        Ok(self)
    }

    /// Refuses what cannot work, and names the flag.
    pub fn validate(&self) -> anyhow::Result<()> {
        ensure!(!self.urls.is_empty(), "--url: no gateway");
        ensure!(self.pairs > 0, "--pairs must be at least 1");
        ensure!(self.rate.is_finite() && self.rate > 0.0, "--rate must be above 0");
        ensure!(self.duration_s > 0.0 && self.duration_s <= 3_600.0, "--duration-s must be above 0 and at most 3600");
        let surge = self.surge.unwrap_or(1.0);
        ensure!(surge.is_finite() && surge > 0.0, "--surge must be above 0");
        for (flag, seconds) in [
            ("--surge-s", self.surge_s),
            ("--warmup-s", self.warmup_s),
            ("--drain-s", self.drain_s),
            ("--ack-timeout-s", self.ack_timeout_s),
            ("--join-timeout-s", self.join_timeout_s),
        ] {
            ensure!((0.0..=3_600.0).contains(&seconds), "{flag} must be 0 to 3600");
        }
        ensure!(self.window > 0 && self.attempts > 0, "--window and --attempts must be at least 1");
        ensure!((1..=4_000).contains(&self.body_chars), "--body-chars must be 1 to 4000");
        ensure!(self.connect_rate > 0.0 && self.connect_rate.is_finite(), "--connect-rate must be above 0");
        ensure!((1..=64).contains(&self.threads), "--threads must be 1 to 64");
        check_open_files(2 * self.pairs + SPARE_FILES)
    }

    /// The stages of the sending that is measured.
    pub fn stages(&self) -> Vec<Stage> {
        let stage = |name, factor: f64, seconds| Stage {
            name,
            rate: self.rate * factor,
            duration: Duration::from_secs_f64(seconds),
        };
        match self.surge {
            None => vec![stage("sending", 1.0, self.duration_s)],
            Some(factor) => vec![
                stage("before", 1.0, self.duration_s),
                stage("surge", factor, self.surge_s),
                stage("after", 1.0, self.duration_s),
            ],
        }
    }

    /// How users send.
    pub fn send_rules(&self) -> SendRules {
        SendRules {
            window: self.window,
            attempts: self.attempts,
            ack_timeout: Duration::from_secs_f64(self.ack_timeout_s),
        }
    }

    /// How long tokens must live: longer than any run.
    pub fn token_lifetime(&self) -> Duration {
        let sending_s: f64 = self.stages().iter().map(|stage| stage.duration.as_secs_f64()).sum();
        Duration::from_secs_f64(self.join_timeout_s + self.warmup_s + sending_s + self.drain_s + 3_600.0)
    }
}

/// One connection is one file: better one clear line now than ten thousand failures later.
fn check_open_files(needed: usize) -> anyhow::Result<()> {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    let limit = line.and_then(|line| line.split_whitespace().nth(3)?.parse().ok()).unwrap_or(usize::MAX);
    ensure!(
        needed <= limit,
        "--pairs needs {needed} open files, the limit is {limit}: raise it (ulimit -n), or use several processes"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(flags: &[&str]) -> Config {
        Config::parse_from([&["load-test", "--url", "http://a:1,http://b:2", "--jwt-secret", "s"], flags].concat())
    }

    #[test]
    fn urls_may_be_repeated_and_listed() {
        assert_eq!(config(&["--url", "http://c:3"]).urls, ["http://a:1", "http://b:2", "http://c:3"]);
    }

    #[test]
    fn what_cannot_work_names_its_flag() {
        for (flag, value) in [
            ("--pairs", "0"),
            ("--rate", "0"),
            ("--surge", "0"),
            ("--duration-s", "3601"),
            ("--warmup-s", "inf"),
            ("--window", "0"),
            ("--body-chars", "4001"),
            ("--threads", "0"),
        ] {
            let error = config(&[flag, value]).validate().unwrap_err().to_string();
            assert!(error.contains(flag), "{error}");
        }
        config(&[]).validate().unwrap();
    }

    #[test]
    fn a_surge_stands_between_two_calm_stages() {
        let stages = config(&["--rate", "10", "--duration-s", "5", "--surge", "3", "--surge-s", "7"]).stages();
        let stages: Vec<_> = stages.iter().map(|stage| (stage.rate, stage.duration.as_secs())).collect();
        assert_eq!(stages, [(10.0, 5), (30.0, 7), (10.0, 5)]);
        assert_eq!(config(&[]).stages().len(), 1);
    }

    #[test]
    fn more_pairs_than_open_files_are_refused() {
        let error = config(&["--pairs", "1000000000"]).validate().unwrap_err().to_string();
        assert!(error.contains("ulimit"), "{error}");
    }
}

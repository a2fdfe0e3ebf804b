//! The flags of a campaign.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, ensure};
use clap::Parser;
use local_stack::stack::Clocks;

use crate::schedule::{Kind, Schedule, Setup};

const EXIT_CODES: &str = "\
Exit code: 0 every promise was kept; 1 one was not, or nothing could be checked; 2 the run could not be done.
Ctrl-C stops everything that was started.

A schedule is a list of AT[+FOR] KIND[=VALUE] TARGET, times in seconds:
  2+1.5 kill chat-service-0; 4+3 slow=80 gateway-0>nats; 8 flush redis; 9+2 clock=-3600 chat-service-1
kinds of processes: kill, freeze (SIGSTOP), stop, clock=SECONDS, roll (one after the other)
kinds of links: cut, slow=MS, silent, half-open; a link is named by its ends, as in clients>gateway-0
kinds of servers: wipe nats, lame-duck nats-0, flush redis, promote postgres, disk-full postgres, lock matches";

/// Simulated users chat across gateways while faults strike; then everything that they saw is held against the
/// promises, and against what the database holds.
#[derive(Debug, Clone, Parser)]
#[command(name = "chaos", version, after_help = EXIT_CODES)]
pub struct Config {
    /// Makes faults and users repeatable
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How many runs, each with the next seed and everything new
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub runs: u64,
    /// How long the users chat in each, e.g. 30s or 2m
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub duration: Duration,
    /// How long everything that was acked may take at the end to arrive everywhere
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub settle: Duration,
    /// The faults themselves instead of those of the seed, `none` for none
    #[arg(long)]
    pub schedule: Option<Schedule>,
    /// Faults of these kinds only
    #[arg(long, value_delimiter = ',', value_name = "KIND", value_parser = kind, conflicts_with = "schedule")]
    pub only: Vec<Kind>,
    /// Connections of the users, rounded up to a multiple of eight
    #[arg(long, default_value_t = 48, value_parser = clap::value_parser!(u32).range(8..=20_000))]
    pub clients: u32,
    /// Messages a second of all users together
    #[arg(long, default_value_t = 200.0)]
    pub rate: f64,
    /// Messages after which a pair goes on in another match; its milestone comes at the 100th
    #[arg(long, default_value_t = 130)]
    pub match_length: u32,
    /// How many gateways
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub gateways: u16,
    /// How many replicas of each service behind them
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=8))]
    pub replicas: u16,
    /// How many NATS nodes
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=5))]
    pub nats: u16,
    /// Give PostgreSQL a synchronous standby
    #[arg(long)]
    pub pg_standby: bool,
    /// Write the results here, as JSON
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Run the services of this folder: how the checker itself is checked, with services that are broken
    #[arg(long, value_name = "FOLDER")]
    pub programs: Option<PathBuf>,
    /// A variable for the services, e.g. `RUST_LOG=debug`; may be given more than once
    #[arg(long, value_name = "KEY=VALUE", value_parser = variable)]
    pub env: Vec<(String, String)>,
    /// Keep data and logs of the stacks in `.local`, as is always done after a failure
    #[arg(long)]
    pub keep: bool,
}

impl Config {
    /// Refuses what cannot work.
    pub fn validate(&self) -> anyhow::Result<()> {
        ensure!(self.rate.is_finite() && self.rate > 0.0, "--rate must be above 0");
        ensure!(self.match_length > 0, "--match-length must be at least 1");
        ensure!(self.duration >= Duration::from_secs(1), "--duration must be at least a second");
        ensure!(self.duration <= Duration::from_hours(24), "--duration must be at most a day");
        ensure!(self.settle <= Duration::from_hours(1), "--settle must be at most an hour");
        if let Some(schedule) = &self.schedule {
            ensure!(schedule.end() <= self.duration, "--schedule lasts longer than --duration");
            if schedule.has(|kind| matches!(kind, Kind::Clock(_))) {
                Clocks::available().context("--schedule: clocks cannot be set")?;
            }
        }
        Ok(())
    }

    /// The faults of a seed.
    pub fn schedule(&self, seed: u64) -> Schedule {
        let setup = Setup {
            gateways: self.gateways,
            replicas: self.replicas,
            nats: self.nats,
            has_standby: self.pg_standby,
            has_clocks: Clocks::available().is_ok(),
        };
        match &self.schedule {
            Some(schedule) => schedule.clone(),
            None => Schedule::generate(seed, self.duration, &setup, &self.only),
        }
    }

    /// What repeats a run with these faults.
    pub fn command(&self, seed: u64, schedule: &Schedule) -> String {
        let Self { duration, clients, rate, match_length, gateways, replicas, nats, .. } = self;
        let standby = if self.pg_standby { " --pg-standby" } else { "" };
        format!(
            "./dev chaos --seed {seed} --duration {}s --clients {clients} --rate {rate} --match-length {match_length} \
             --gateways {gateways} --replicas {replicas} --nats {nats}{standby} --schedule '{schedule}'",
            duration.as_secs_f64()
        )
    }
}

/// `30`, `30s`, `2m`, `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let (digits, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let unit_s = match unit {
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return Err("expected seconds, or a number with s, m or h".to_owned()),
    };
    let number: f64 = digits.parse().map_err(|_| "expected a number, as in 30s".to_owned())?;
    Duration::try_from_secs_f64(number * unit_s).map_err(|error| error.to_string())
}

fn kind(text: &str) -> Result<Kind, String> {
    Kind::named(text).map_err(|error| error.to_string())
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(flags: &[&str]) -> Result<Config, clap::Error> {
        Config::try_parse_from([&["chaos"], flags].concat())
    }

    #[test]
    fn durations_have_units() {
        for (text, seconds) in [("30", 30.0), ("1.5s", 1.5), ("2m", 120.0), ("1h", 3_600.0)] {
            assert_eq!(duration(text), Ok(Duration::from_secs_f64(seconds)));
        }
        for text in ["", "s", "5d", "-1s", "1e300h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_cannot_work_names_its_flag() {
        for flags in [["--duration", "0.5s"], ["--rate", "0"], ["--match-length", "0"], ["--duration", "25h"]] {
            let error = config(&flags).unwrap().validate().unwrap_err().to_string();
            assert!(error.contains(flags[0]), "{error}");
        }
        let flags = ["--duration", "5s", "--schedule", "4+2 kill nats"];
        assert!(config(&flags).unwrap().validate().unwrap_err().to_string().contains("longer"));
        for flags in [["--schedule", "1 explode nats"], ["--only", "explode"], ["--gateways", "0"]] {
            assert!(config(&flags).is_err());
        }
    }

    #[test]
    fn the_command_that_repeats_a_run_is_understood() {
        let asked = config(&["--only", "kill,freeze", "--duration", "1m", "--pg-standby", "--nats", "3"]).unwrap();
        let schedule = asked.schedule(9);
        let command = asked.command(9, &schedule);
        let (flags, quoted) = command.strip_suffix('\'').unwrap().split_once(" '").unwrap();
        let again = config(&[&flags.split(' ').skip(2).collect::<Vec<_>>()[..], &[quoted]].concat()).unwrap();
        assert_eq!((again.schedule(9), again.seed, again.duration), (schedule, 9, asked.duration));
    }
}

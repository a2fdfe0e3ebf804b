//! `bench relay`: processor time for each relayed message at a fixed rate, by turns with socket.io from npm.

use std::{path::PathBuf, time::Duration};

use anyhow::ensure;
use clap::Args;
use serde::Serialize;

use super::{
    process::{Cpu, cpu},
    table::{microseconds, row},
    talkers::Talkers,
    target::Target,
    write_json,
};
use crate::stats::number;

/// Sends a second that the gateway lets one user have, less a reserve.
const MOST_PER_USER: f64 = 15.0;
/// Not measured.
const WARM_UP: Duration = Duration::from_secs(2);

/// What to measure.
#[derive(Debug, Args)]
pub struct Relay {
    /// Pairs whose members send to each other
    #[arg(long, default_value_t = 100)]
    pub pairs: usize,
    /// Messages a second of all together
    #[arg(long, default_value_t = 500.0)]
    pub rate: f64,
    /// Seconds of each round
    #[arg(long, default_value_t = 10.0)]
    pub duration_s: f64,
    /// Rounds of each, by turns
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// Gateways between the members of a pair
    #[arg(long, default_value_t = 2)]
    pub gateways: u16,
    /// A variable for the gateways and services, e.g. `MALLOC_ARENA_MAX=1`; may be given more than once
    #[arg(long, value_name = "KEY=VALUE")]
    pub env: Vec<String>,
    /// Write the result here
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// One round.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct Round {
    delivered: u64,
    #[serde(flatten)]
    cpu: Cpu,
}

/// The rounds of one target.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Measured {
    name: String,
    rounds: Vec<Round>,
    user_us_per_message: f64,
    system_us_per_message: f64,
}

/// All that was measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    pairs: usize,
    rate_per_s: f64,
    duration_s: f64,
    gateways: u16,
    gateway: Measured,
    reference: Measured,
    /// The gateway's processor time over the reference's.
    ratio: f64,
}

/// Measures and returns the report.
pub async fn run(relay: &Relay) -> anyhow::Result<String> {
    ensure!(relay.pairs > 0 && relay.rounds > 0, "--pairs and --rounds must be at least 1");
    ensure!(relay.duration_s > 0.0 && relay.duration_s <= 600.0, "--duration-s must be above 0 and at most 600");
    let most = number(relay.pairs as u64) * 2.0 * MOST_PER_USER;
    ensure!(relay.rate > 0.0 && relay.rate <= most, "--rate must be above 0 and at most {most} for so many pairs");
    let targets = [Target::gateways(relay.gateways, &relay.env).await?, Target::reference().await?];
    let mut talkers = Vec::new();
    for target in &targets {
        eprintln!("bench: {}, {} pairs join", target.name, relay.pairs);
        talkers.push(Talkers::connect(target, relay.pairs).await?);
    }
    let [gateway, reference] = measure(relay, &targets, &mut talkers).await?;
    for talkers in talkers {
        talkers.leave().await;
    }
    let ratio = total(&gateway) / total(&reference);
    let Relay { pairs, rate, duration_s, gateways, .. } = *relay;
    let outcome = Outcome { pairs, rate_per_s: rate, duration_s, gateways, gateway, reference, ratio };
    if let Some(file) = &relay.json {
        write_json(file, &outcome)?;
    }
    Ok(report(&outcome))
}

async fn measure(relay: &Relay, targets: &[Target; 2], talkers: &mut [Talkers]) -> anyhow::Result<[Measured; 2]> {
    for talkers in talkers.iter_mut() {
        talkers.round(relay.rate, WARM_UP).await?;
    }
    let mut rounds = [Vec::new(), Vec::new()];
    for number in 1..=relay.rounds {
        for ((target, talkers), rounds) in targets.iter().zip(talkers.iter_mut()).zip(&mut rounds) {
            eprintln!("bench: round {number} of {}, {}", relay.rounds, target.name);
            let before = cpu(&target.processes)?;
            let delivered = talkers.round(relay.rate, Duration::from_secs_f64(relay.duration_s)).await?;
            rounds.push(Round { delivered, cpu: cpu(&target.processes)? - before });
        }
    }
    let [gateway, reference] = rounds;
    Ok([Measured::of(&targets[0].name, gateway), Measured::of(&targets[1].name, reference)])
}

impl Measured {
    fn of(name: &str, rounds: Vec<Round>) -> Self {
        let cpu = rounds.iter().fold(Cpu::default(), |sum, round| sum + round.cpu);
        let delivered = number(rounds.iter().map(|round| round.delivered).sum::<u64>().max(1));
        Self {
            name: name.to_owned(),
            user_us_per_message: cpu.user_s / delivered * 1e6,
            system_us_per_message: cpu.system_s / delivered * 1e6,
            rounds,
        }
    }
}

fn total(measured: &Measured) -> f64 {
    measured.user_us_per_message + measured.system_us_per_message
}

fn report(outcome: &Outcome) -> String {
    let mut text = format!(
        "{} pairs, {} messages/s open loop, through {} gateway(s); processor time per delivered message\n",
        outcome.pairs, outcome.rate_per_s, outcome.gateways
    );
    let both = [&outcome.gateway, &outcome.reference];
    row(&mut text, "", &both.map(|measured| measured.name.clone()));
    row(&mut text, "user", &both.map(|measured| microseconds(measured.user_us_per_message)));
    row(&mut text, "system", &both.map(|measured| microseconds(measured.system_us_per_message)));
    row(&mut text, "both", &both.map(|measured| microseconds(total(measured))));
    for index in 0..outcome.gateway.rounds.len() {
        let each = |measured: &Measured| {
            let Round { delivered, cpu } = measured.rounds[index];
            microseconds(cpu.total_s() / number(delivered.max(1)) * 1e6)
        };
        row(&mut text, &format!("  round {}", index + 1), &both.map(each));
    }
    row(&mut text, "ratio", &[format!("{:.2}", outcome.ratio)]);
    text
}

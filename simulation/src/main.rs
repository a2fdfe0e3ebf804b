//! Long runs, outside of the tests.

use std::{process::ExitCode, thread, time::Instant};

use clap::Parser;
use simulation::{Campaign, Figures, Mistake};

/// Runs simulated schedules until one breaks a promise.
#[derive(Parser)]
struct Options {
    /// How many schedules to run.
    #[arg(long, default_value_t = 100_000)]
    schedules: u64,
    /// The first seed; each schedule has its own, counted from there.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads; all processors by default.
    #[arg(long)]
    threads: Option<usize>,
    /// A mistake to plant, which should be found.
    #[arg(long)]
    mistake: Option<Mistake>,
}

#[expect(clippy::print_stdout, reason = "the result of a command-line tool")]
fn main() -> ExitCode {
    let Options { schedules, seed, threads, mistake } = Options::parse();
    let threads = threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    let began = Instant::now();
    let report = |Figures { schedules, acked, delivered }| {
        let seconds = began.elapsed().as_secs_f64();
        println!(
            "{seconds:>8.0} s  {schedules} schedules, {acked} acks and {delivered} deliveries checked, 0 violations"
        );
    };
    match (Campaign { seed, schedules, threads, mistake }).run(report) {
        Ok(figures) => {
            report(figures);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
    }
}

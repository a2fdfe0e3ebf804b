//! `./dev load`: simulated pairs chat across gateways; the exit code tells whether every promise was kept.

use std::{io::Write as _, process::ExitCode};

use anyhow::Context as _;
use clap::Parser as _;
use load_test::{
    config::Config,
    program::{self, Interrupts},
    report, scenario,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc,
};

fn main() -> ExitCode {
    program::exit_code("load-test", 2, start())
}

fn start() -> anyhow::Result<ExitCode> {
    let config = Config::parse().with_stack()?;
    config.validate()?;
    runtime(config.threads)?.block_on(measure(&config))
}

/// On one thread nothing has to be woken across threads, which costs as much as sending a message does.
fn runtime(threads: usize) -> std::io::Result<Runtime> {
    match threads {
        1 => Builder::new_current_thread().enable_all().build(),
        _ => Builder::new_multi_thread().worker_threads(threads).enable_all().build(),
    }
}

async fn measure(config: &Config) -> anyhow::Result<ExitCode> {
    let (interrupt, mut interrupts) = mpsc::channel(2);
    let mut signals = Interrupts::listen()?;
    let forward = async {
        loop {
            signals.next().await;
            // Two that wait are enough: the second one ends everything.
            let _ = interrupt.try_send(());
        }
    };
    let outcome = tokio::select! {
        outcome = scenario::run(config, &mut interrupts) => outcome?,
        () = forward => unreachable!("it goes on for ever"),
    };
    if let Some(file) = &config.json {
        std::fs::write(file, report::json(config, &outcome))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    std::io::stdout().write_all(report::summary(config, &outcome).as_bytes())?;
    Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

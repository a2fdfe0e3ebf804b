//! `./dev load`: simulated pairs chat across gateways; the exit code tells whether every promise was kept.

use std::{io::Write as _, process::ExitCode};

use anyhow::Context as _;
use clap::Parser as _;
use load_test::{config::Config, report, scenario};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

fn main() -> ExitCode {
    match start() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("load-test: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn start() -> anyhow::Result<bool> {
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

async fn measure(config: &Config) -> anyhow::Result<bool> {
    let (interrupt, mut interrupts) = mpsc::channel(2);
    let outcome = tokio::select! {
        outcome = scenario::run(config, &mut interrupts) => outcome?,
        failed = forward_signals(interrupt) => return Err(failed),
    };
    if let Some(file) = &config.json {
        let result = report::json(config, &outcome)?;
        std::fs::write(file, result).with_context(|| format!("cannot write {}", file.display()))?;
    }
    std::io::stdout().write_all(report::summary(config, &outcome).as_bytes())?;
    Ok(outcome.is_ok())
}

/// Passes Ctrl-C and SIGTERM on; returns only if that is impossible.
async fn forward_signals(interrupt: mpsc::Sender<()>) -> anyhow::Error {
    let (Ok(mut int), Ok(mut term)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else {
        return anyhow::anyhow!("signals cannot be received");
    };
    loop {
        tokio::select! {
            _ = int.recv() => {}
            _ = term.recv() => {}
        }
        // Two that wait are enough: the second one ends everything.
        let _ = interrupt.try_send(());
    }
}

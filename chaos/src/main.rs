//! `./dev chaos`: faults from a seeded schedule strike a stack while simulated users chat; the exit code is the
//! verdict.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use chaos::{campaign, config::Config, report::Campaign};
use clap::Parser as _;
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

/// As shells report a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    match start() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("chaos: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn start() -> anyhow::Result<ExitCode> {
    let config = Config::parse();
    config.validate()?;
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().context("no runtime")?;
    runtime.block_on(async {
        tokio::select! {
            ended = all_runs(&config) => ended,
            // What was started ends as it is dropped.
            interrupted = interrupted() => interrupted,
        }
    })
}

async fn all_runs(config: &Config) -> anyhow::Result<ExitCode> {
    let mut campaign = Campaign::default();
    for seed in (config.seed..).take(usize::try_from(config.runs)?) {
        match campaign::run(config, seed).await {
            Ok(run) => {
                eprint!("{}", run.failure());
                if let Some(folder) = &run.folder {
                    eprintln!("logs and data: {}", folder.display());
                }
                campaign.add(run);
            }
            // The next one may be possible; what is impossible for all of them ends after one.
            Err(error) if config.runs > 1 => {
                eprintln!("chaos: seed {seed}: {error:#}");
                let schedule = config.schedule(seed);
                campaign.add_undone(seed, &schedule, config.command(seed, &schedule), &error);
            }
            Err(error) => return Err(error.context(format!("seed {seed}"))),
        }
        if let Some(file) = &config.out {
            std::fs::write(file, campaign.json()?).with_context(|| format!("cannot write {}", file.display()))?;
        }
    }
    print_summary(&campaign.summary())?;
    Ok(if campaign.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn print_summary(summary: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    std::io::stdout().write_all(summary.as_bytes())
}

async fn interrupted() -> anyhow::Result<ExitCode> {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        bail!("signals cannot be received")
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(ExitCode::from(INTERRUPTED))
}

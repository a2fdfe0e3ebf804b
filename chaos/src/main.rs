//! `./dev chaos`: faults from a seeded schedule strike a stack while simulated users chat; the exit code is the
//! verdict.

use std::{io::Write as _, process::ExitCode};

use anyhow::Context as _;
use chaos::{campaign, config::Config, report::Campaign};
use clap::Parser as _;
use load_test::program;

fn main() -> ExitCode {
    program::run("chaos", 2, all_runs(&Config::parse()))
}

async fn all_runs(config: &Config) -> anyhow::Result<ExitCode> {
    config.validate()?;
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
            std::fs::write(file, campaign.json()).with_context(|| format!("cannot write {}", file.display()))?;
        }
    }
    std::io::stdout().write_all(campaign.summary().as_bytes())?;
    Ok(if campaign.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

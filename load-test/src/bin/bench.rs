//! `./dev bench`: what idle connections and relayed messages cost the gateway, beside socket.io from npm.

use std::{io::Write as _, process::ExitCode};

use clap::{Parser, Subcommand};
use load_test::{
    bench::{
        idle::{self, Idle},
        relay::{self, Relay},
    },
    program,
};

/// What the gateway costs, beside socket.io from npm on the same machine.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// User-space memory of connections that do nothing
    Idle(Idle),
    /// Processor time of each relayed message
    Relay(Relay),
}

fn main() -> ExitCode {
    program::run("bench", 1, measure(Cli::parse().command))
}

async fn measure(command: Command) -> anyhow::Result<ExitCode> {
    let report = match command {
        Command::Idle(idle) => idle::run(&idle).await?,
        Command::Relay(relay) => relay::run(&relay).await?,
    };
    std::io::stdout().write_all(report.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

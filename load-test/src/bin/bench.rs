//! `./dev bench`: what idle connections and relayed messages cost the gateway, beside socket.io from npm.

use std::{io::Write as _, process::ExitCode};

use clap::{Parser, Subcommand};
use load_test::bench::{
    idle::{self, Idle},
    relay::{self, Relay},
};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

/// As shells report a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

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
    let command = Cli::parse().command;
    match start(&command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(command: &Command) -> anyhow::Result<ExitCode> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        // What was started ends with the future that is dropped.
        tokio::select! {
            report = measure(command) => std::io::stdout().write_all(report?.as_bytes())?,
            _ = interrupt.recv() => return Ok(ExitCode::from(INTERRUPTED)),
            _ = terminate.recv() => return Ok(ExitCode::from(INTERRUPTED)),
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn measure(command: &Command) -> anyhow::Result<String> {
    match command {
        Command::Idle(idle) => idle::run(idle).await,
        Command::Relay(relay) => relay::run(relay).await,
    }
}

//! The `local-stack` program: the whole system on this machine, and tokens for it.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use local_stack::{
    run::{self, RunArgs},
    token::{self, TokenArgs},
};

/// The whole realtime backend on this machine: real NATS, Redis and PostgreSQL, the services and the gateways.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start everything on loopback; what dies is started again, Ctrl-C stops all.
    Run(RunArgs),
    /// Print a JWT that the gateways of the stack accept.
    Token(TokenArgs),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(args) => run::run(args),
        Command::Token(args) => token::print(&args).map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("local-stack: {error:#}");
        ExitCode::FAILURE
    })
}

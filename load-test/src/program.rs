//! The course of a program: from its start to its exit code, or to Ctrl-C or SIGTERM.

use std::{io, process::ExitCode};

use tokio::{
    runtime::Builder,
    signal::unix::{Signal, SignalKind, signal},
};

/// As shells report a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Runs a program until it ends or is interrupted: what it has started ends as it is dropped. An error is shown, and
/// makes the exit code `failed`.
pub fn run(name: &str, failed: u8, program: impl Future<Output = anyhow::Result<ExitCode>>) -> ExitCode {
    exit_code(name, failed, block_on(program))
}

/// The exit code of a program. An error is shown, and makes it `failed`.
pub fn exit_code(name: &str, failed: u8, outcome: anyhow::Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        eprintln!("{name}: {error:#}");
        ExitCode::from(failed)
    })
}

fn block_on(program: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let mut interrupts = Interrupts::listen()?;
        tokio::select! {
            ended = program => ended,
            () = interrupts.next() => Ok(ExitCode::from(INTERRUPTED)),
        }
    })
}

/// Both signals, from here on.
pub struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    /// Begins to listen: neither ends the process any more.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

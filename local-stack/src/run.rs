//! `local-stack run`: start everything, watch over it, stop everything.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use tokio::{
    runtime, select,
    signal::unix::{Signal, SignalKind, signal},
};

use crate::{
    note::{note, say},
    stack::{Manifest, Stack, StackConfig},
};

mod backoff;
mod control;
mod supervisor;

/// As shells report a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// What to run.
#[derive(Args, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    stack: StackConfig,
    /// For tests: obey commands on standard input, one a line, until it ends
    #[arg(long, hide = true)]
    control: bool,
}

/// Runs the stack until a signal stops it.
///
/// # Errors
/// When it does not start.
pub fn run(args: RunArgs) -> Result<ExitCode> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    let outcome = runtime.block_on(session(args));
    // A read of standard input cannot be called off.
    runtime.shutdown_background();
    outcome
}

async fn session(args: RunArgs) -> Result<ExitCode> {
    let mut stop = StopSignals::listen()?;
    let mut stack = select! {
        started = Stack::start(&args.stack) => started?,
        () = stop.next() => return Ok(ExitCode::SUCCESS),
    };
    announce(stack.manifest());
    select! {
        () = stop.next() => note("stopping"),
        () = watch(&mut stack, args.control) => (),
    }
    select! {
        () = stack.stop() => Ok(ExitCode::SUCCESS),
        () = stop.next() => Ok(ExitCode::from(INTERRUPTED)),
    }
}

async fn watch(stack: &mut Stack, control: bool) {
    if control { control::obey(stack).await } else { supervisor::keep_up(stack).await }
}

fn announce(manifest: &Manifest) {
    let (Some(first), Some(last)) = (manifest.gateways.first(), manifest.gateways.last()) else { return };
    let (first, last) = (&first.url, &last.url);
    say(format_args!(
        "ready {first}\n\
         \x20 chat as alice (on {first}):  ./dev chat alice\n\
         \x20 chat as bob, in another terminal (on {last}):  ./dev chat bob\n\
         \x20 use the REST interface:  curl -H \"Authorization: Bearer $(./dev token alice)\" {first}/api/v1/matches"
    ));
}

/// Ctrl-C, SIGTERM, and the end of the terminal.
struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl StopSignals {
    fn listen() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        select! {
            _ = self.interrupt.recv() => (),
            _ = self.terminate.recv() => (),
            _ = self.hangup.recv() => (),
        }
    }
}

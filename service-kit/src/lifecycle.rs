//! One `main` for every service: start, wait for a signal or a crash, stop in two stages under a deadline.

use std::{fmt::Debug, panic::Location, process::ExitCode, time::Duration};

use clap::Parser;
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
    time::timeout,
};
use tokio_util::{future::FutureExt as _, sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, error, info, warn};

use crate::{
    clock,
    config::ProcessConfig,
    panics::{self, TASK, TaskName},
    telemetry::{self, TASK_SPAN},
};

/// Owns the tasks of a process (or of a service in a test) and says when to stop.
///
/// A stop has two stages: [`stopping`](Self::stopping) asks every task to finish what it has begun; what still runs at
/// the deadline is dropped.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle {
    soft: CancellationToken,
    hard: CancellationToken,
    crashed: CancellationToken,
    tasks: TaskTracker,
}

impl Lifecycle {
    /// A lifecycle that nobody has asked to stop.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled when the process should take no new work and finish what it has.
    pub fn stopping(&self) -> &CancellationToken {
        &self.soft
    }

    /// Runs a short-lived task, which a stop waits for. A panic ends it alone, and is logged with the place of this
    /// call.
    #[track_caller]
    #[allow(clippy::disallowed_methods)]
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let task = TASK.scope(TaskName::At(Location::caller()), task);
        // An async block around it would hold the task twice.
        self.tasks.spawn(task.with_cancellation_token_owned(self.hard.clone()));
    }

    /// Runs a task that ends only on [`stopping`](Self::stopping); if it ends or panics before, the process stops with
    /// an error.
    #[allow(clippy::disallowed_methods)]
    pub fn spawn_essential(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let guard = CrashGuard { name, lifecycle: self.clone() };
        let span = tracing::info_span!(parent: None, TASK_SPAN, task = name);
        let hard = self.hard.clone();
        let task = TASK.scope(TaskName::Is(name), task);
        self.tasks.spawn(
            async move {
                let _guard = guard;
                hard.run_until_cancelled_owned(task).await;
            }
            .instrument(span),
        );
    }

    /// Runs a task that a stop does not wait for; it is dropped when all others have finished. A panic is told as of
    /// [`spawn`](Self::spawn).
    #[track_caller]
    #[allow(clippy::disallowed_methods)]
    pub fn spawn_background(&self, task: impl Future<Output = ()> + Send + 'static) {
        let task = TASK.scope(TaskName::At(Location::caller()), task);
        tokio::spawn(task.with_cancellation_token_owned(self.hard.clone()));
    }

    /// Asks every task to finish, waits for them at most `deadline`, and drops the rest. False if there was a rest.
    pub async fn stop(&self, deadline: Duration) -> bool {
        self.soft.cancel();
        self.tasks.close();
        let finished = timeout(deadline, self.tasks.wait()).await.is_ok();
        self.hard.cancel();
        finished
    }
}

/// A future of which a panic is told with the place of this call, as of a task of its own.
#[track_caller]
pub fn named<F: Future>(future: F) -> impl Future<Output = F::Output> {
    TASK.scope(TaskName::At(Location::caller()), future)
}

struct CrashGuard {
    name: &'static str,
    lifecycle: Lifecycle,
}

impl Drop for CrashGuard {
    fn drop(&mut self) {
        if !self.lifecycle.soft.is_cancelled() {
            error!(task = self.name, "an essential task ended");
            self.lifecycle.crashed.cancel();
        }
    }
}

/// Runs a service: parses its flags, starts telemetry, calls `start`, waits for SIGTERM, SIGINT or a crash, and stops.
///
/// `start` returns when the service runs, with whatever must live as long as it does. A failing `start`, a crashed task
/// or a stop past its deadline exits with 1, a bad flag with 2.
pub fn run<C, T, F, Fut>(name: &'static str, start: F) -> ExitCode
where
    C: Parser + AsRef<ProcessConfig> + Debug,
    F: FnOnce(C, Lifecycle) -> Fut,
    Fut: Future<Output = anyhow::Result<T>>,
{
    // From now on a jump of the wall clock shows.
    clock::steady_ms();
    let config = match C::try_parse() {
        Ok(config) => config,
        Err(error) => return refuse(name, &error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(name, &error.into()),
    };
    leave(runtime, async {
        let process = config.as_ref().clone();
        let telemetry = match telemetry::init(name, &process) {
            Ok(guard) => guard,
            Err(error) => return fail(name, &error),
        };
        panics::tell();
        let code = supervise(name, &process, |lifecycle| start(config, lifecycle)).await;
        telemetry.flush().await;
        code
    })
}

/// Runs `main` and nothing longer: a blocking call cannot be called off, such as a look-up that no name server answers.
/// Its thread ends with the process.
fn leave<T>(runtime: Runtime, main: impl Future<Output = T>) -> T {
    let ended = runtime.block_on(main);
    runtime.shutdown_background();
    ended
}

async fn supervise<T, F, Fut>(name: &'static str, process: &ProcessConfig, start: F) -> ExitCode
where
    F: FnOnce(Lifecycle) -> Fut,
    Fut: Future<Output = anyhow::Result<T>>,
{
    let lifecycle = Lifecycle::new();
    let result = run_until_signal(&lifecycle, start(lifecycle.clone())).await;
    info!("stopping");
    let finished = lifecycle.stop(process.shutdown_timeout()).await || process.shutdown_timeout().is_zero();
    if !finished {
        warn!(timeout_s = process.shutdown_timeout_s, "some work was still unfinished at the deadline");
    }
    match result {
        Ok(()) if finished => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) => fail(name, &error),
    }
}

async fn run_until_signal<T>(
    lifecycle: &Lifecycle,
    start: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let run = async {
        let _alive = start.await?;
        lifecycle.crashed.cancelled().await;
        anyhow::bail!("a task that must not end has ended; the log says which")
    };
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        ended = run => ended,
    }
}

#[allow(clippy::print_stderr)]
fn fail(name: &str, error: &anyhow::Error) -> ExitCode {
    eprintln!("{name}: {error:#}");
    ExitCode::FAILURE
}

/// What was asked for by `--help` or `--version`, or what is wrong with the flags, in one line.
#[allow(clippy::print_stderr)]
fn refuse(name: &str, error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        error.exit();
    }
    eprintln!("{name}: {}", one_line(&error.to_string()));
    ExitCode::from(2)
}

/// The first paragraph of clap's message; the rest is about usage.
fn one_line(message: &str) -> String {
    let paragraph = message.split("\n\n").next().unwrap_or_default();
    paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_flag_is_told_in_one_line() {
        let message =
            "error: required arguments were not provided:\n  --database-url <URL>\n\nUsage: x\n\nFor more information";
        assert_eq!(one_line(message), "error: required arguments were not provided: --database-url <URL>");
    }

    #[test]
    fn a_blocking_call_that_does_not_return_keeps_nobody() {
        let (_open, waiting) = std::sync::mpsc::channel::<()>();
        let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let main = async {
            let _blocked = tokio::task::spawn_blocking(move || {
                begun.send(()).unwrap();
                // As long as this test holds the other end.
                waiting.recv().unwrap_err();
            });
            has_begun.await.unwrap();
            7
        };
        assert_eq!(leave(runtime, main), 7);
    }

    #[tokio::test]
    async fn a_stop_waits_for_what_has_begun() {
        let lifecycle = Lifecycle::new();
        let stopping = lifecycle.stopping().clone();
        let (done, finished) = tokio::sync::oneshot::channel();
        lifecycle.spawn(async move {
            stopping.cancelled().await;
            done.send(()).unwrap();
        });
        assert!(lifecycle.stop(Duration::from_secs(5)).await);
        finished.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_drops_what_outlives_the_deadline() {
        let lifecycle = Lifecycle::new();
        lifecycle.spawn(std::future::pending());
        assert!(!lifecycle.stop(Duration::from_secs(1)).await);
        lifecycle.tasks.wait().await;
    }

    #[tokio::test]
    async fn an_essential_task_that_ends_is_a_crash() {
        let lifecycle = Lifecycle::new();
        lifecycle.spawn_essential("short", async {});
        lifecycle.crashed.cancelled().await;
    }

    #[tokio::test]
    async fn an_essential_task_that_ends_while_stopping_is_none() {
        let lifecycle = Lifecycle::new();
        let stopping = lifecycle.stopping().clone();
        lifecycle.spawn_essential("long", async move { stopping.cancelled().await });
        assert!(lifecycle.stop(Duration::from_secs(5)).await);
        assert!(!lifecycle.crashed.is_cancelled());
    }
}

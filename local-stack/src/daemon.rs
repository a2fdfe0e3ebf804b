//! A long-running child: how it is started, how one sees that it is ready, how it is ended and started again.

use std::{path::PathBuf, process::ExitStatus, time::Duration};

use anyhow::{Result, bail};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use crate::{
    ports::Claim,
    process::{Launch, POLL, Process},
};

mod descendants;
mod probe;

pub use probe::Probe;

/// How many of its last lines a message about its end quotes.
const QUOTED_LINES: usize = 5;
const RETRY_AFTER: Duration = Duration::from_millis(100);
/// How long what is on its way out may take: a NATS server in lame-duck mode 30 s.
const ENDS_WITHIN: Duration = Duration::from_mins(1);
/// A drop should not block a test for long.
const ABORT_WITHIN: Duration = Duration::from_secs(2);

/// Everything about a daemon that stays the same over its restarts.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// How to start it.
    pub launch: Launch,
    /// What tells that it is ready.
    pub probe: Probe,
    /// The signal that ends it in good order.
    pub stop_signal: Signal,
    /// The signal that ends it at once where a kill would leave something behind.
    pub abort_signal: Option<Signal>,
    /// Words that a start may end with because its predecessor is not quite gone: it is tried again then.
    pub not_yet: &'static [&'static str],
    /// How long it may take to get ready.
    pub ready_within: Duration,
    /// How long it may take to stop before it is killed.
    pub stop_within: Duration,
}

/// A daemon, running or not. Dropping it kills it.
#[derive(Debug)]
pub struct Daemon {
    recipe: Recipe,
    process: Option<Process>,
    frozen: Vec<u32>,
    /// Of its ports, which are its own also while it is down.
    claims: Vec<Claim>,
}

impl Daemon {
    /// One that does not run yet.
    pub fn new(recipe: Recipe) -> Self {
        Self { recipe, process: None, frozen: Vec::new(), claims: Vec::new() }
    }

    /// Keeps a port for it, also while it is down.
    pub fn keep(&mut self, port: Claim) {
        self.claims.push(port);
    }

    /// Starts it again on the same data and port and waits until it is ready. Without effect while it runs.
    ///
    /// # Errors
    /// When it cannot be started, ends meanwhile, or is not ready in time (it is killed then).
    pub async fn start_again(&mut self) -> Result<()> {
        if !self.is_running() {
            self.launch()?;
        }
        self.ready().await
    }

    /// Starts the process and does not wait.
    ///
    /// # Errors
    /// When the program cannot be executed.
    pub fn launch(&mut self) -> Result<()> {
        self.frozen.clear();
        self.process = Some(Process::spawn(&self.recipe.launch)?);
        Ok(())
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// When it ends meanwhile or is not ready in time (it is killed then).
    pub async fn ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + self.recipe.ready_within;
        loop {
            let Some(pid) = self.pid() else {
                if !self.ended_too_early() || Instant::now() > deadline {
                    bail!("{}", self.obituary());
                }
                sleep(RETRY_AFTER).await;
                self.launch()?;
                continue;
            };
            if self.recipe.probe.succeeds(pid).await {
                return Ok(());
            }
            if Instant::now() > deadline {
                let quote = self.quote();
                self.kill();
                bail!("{} is not ready after {:?}{quote}", self.name(), self.recipe.ready_within);
            }
            sleep(POLL).await;
        }
    }

    /// Its name, as in messages and of its log file.
    pub fn name(&self) -> &str {
        &self.recipe.launch.name
    }

    /// Its log file.
    pub fn log(&self) -> &PathBuf {
        &self.recipe.launch.log
    }

    /// Its process id while it runs.
    pub fn pid(&mut self) -> Option<u32> {
        let process = self.process.as_mut()?;
        process.exited().is_none().then(|| process.pid())
    }

    /// Whether the process runs, ready or not.
    pub fn is_running(&mut self) -> bool {
        self.pid().is_some()
    }

    /// Whether it runs and its probe succeeds now.
    pub async fn is_ready(&mut self) -> bool {
        match self.pid() {
            Some(pid) => self.recipe.probe.succeeds(pid).await,
            None => false,
        }
    }

    /// Kills it without notice, as a crash of the machine would.
    pub fn kill(&mut self) -> Option<ExitStatus> {
        let status = self.process.as_mut().and_then(|process| process.kill().ok());
        // Frozen descendants could not notice.
        self.thaw();
        status
    }

    /// Ends it in good order, or kills it when that takes too long. Whether it ended by itself.
    ///
    /// # Errors
    /// When the kernel refuses the signal.
    pub async fn stop(&mut self) -> Result<bool> {
        self.request_stop()?;
        self.ended().await
    }

    /// Ends it at once and waits: without any shutdown of its own, but with nothing left behind.
    ///
    /// # Errors
    /// When the kernel refuses the signal.
    pub async fn crash(&mut self) -> Result<()> {
        let Some(signal) = self.recipe.abort_signal else {
            self.kill();
            return Ok(());
        };
        self.thaw();
        self.signal(signal)?;
        self.ended().await.map(|_| ())
    }

    /// Sends it a signal; without effect once it has ended.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        self.process.as_mut().map_or(Ok(()), |process| process.signal(signal))
    }

    /// Asks it to end in good order and does not wait.
    ///
    /// # Errors
    /// When the kernel refuses the signal.
    pub fn request_stop(&mut self) -> Result<()> {
        self.thaw();
        self.signal(self.recipe.stop_signal)
    }

    /// Waits until it has ended; kills it when that takes longer than the recipe grants. Whether it ended by itself.
    ///
    /// # Errors
    /// When the kernel refuses the kill.
    pub async fn ended(&mut self) -> Result<bool> {
        match &mut self.process {
            Some(process) => Ok(process.ended(self.recipe.stop_within).await?),
            None => Ok(true),
        }
    }

    /// Waits until it has ended without being made to.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ended_by_itself(&mut self) -> Result<()> {
        let deadline = Instant::now() + ENDS_WITHIN;
        while self.is_running() {
            if Instant::now() > deadline {
                bail!("{} still runs after {ENDS_WITHIN:?}", self.name());
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    /// Stops the clock of it and of all its descendants (SIGSTOP), as a hung machine would.
    pub fn freeze(&mut self) {
        let Some(pid) = self.pid() else { return };
        self.frozen = descendants::with_descendants(pid);
        descendants::signal_all(&self.frozen, Signal::STOP);
    }

    /// Ends a freeze.
    pub fn thaw(&mut self) {
        descendants::signal_all(&std::mem::take(&mut self.frozen), Signal::CONT);
    }

    /// How it ended and its last lines, for people.
    pub fn obituary(&mut self) -> String {
        let how = match self.process.as_mut().and_then(Process::exited) {
            Some(status) => status.to_string(),
            None => "not started".to_owned(),
        };
        format!("{} ended ({how}){}", self.name(), self.quote())
    }

    fn ended_too_early(&self) -> bool {
        let words = self.last_words();
        self.recipe.not_yet.iter().any(|sign| words.contains(sign))
    }

    /// Ends it at once and waits, without an async runtime.
    fn abort(&mut self) {
        if let (Some(signal), Some(process)) = (self.recipe.abort_signal, &mut self.process)
            && process.signal(signal).is_ok()
        {
            process.wait_blocking(ABORT_WITHIN);
        }
        self.kill();
    }

    fn last_words(&self) -> String {
        self.process.as_ref().map(|process| process.last_lines(QUOTED_LINES)).unwrap_or_default()
    }

    /// What it said last: one line stays in the sentence, more stand below it.
    pub(crate) fn quote(&self) -> String {
        let words = self.last_words();
        match words.lines().count() {
            0 => String::new(),
            1 => format!(": {words}"),
            _ => format!(", see {}\n  | {}", self.log().display(), words.replace('\n', "\n  | ")),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.thaw();
        self.abort();
    }
}

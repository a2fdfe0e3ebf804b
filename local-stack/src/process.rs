//! One child process: started with its output in a file, ended for certain, ended by the kernel if this process dies.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use crate::programs;

mod launcher;

/// How often the state of a child is looked at while waiting for it.
pub(crate) const POLL: Duration = Duration::from_millis(10);
/// Variables of our own environment that a child gets; the rest could be a setting of a service by accident.
const INHERITED_ENV: [&str; 7] = ["HOME", "LANG", "PATH", "RUST_BACKTRACE", "RUST_LOG", "TMPDIR", "TZ"];

/// How to start a program.
#[derive(Clone, Debug)]
pub struct Launch {
    /// What it is called in messages and as a log file.
    pub name: String,
    /// The executable.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables set for it, besides the few that it inherits.
    pub env: Vec<(String, OsString)>,
    /// Standard output and error are appended here.
    pub log: PathBuf,
    /// The name of the signal that the kernel sends it when this process ends first.
    pub orphan_signal: &'static str,
    /// Run as this user though we are root.
    pub user: Option<&'static str>,
}

impl Launch {
    /// The program behind `setpriv`, which asks the kernel to end it when its parent ends and then becomes it.
    fn command(&self) -> Result<Command> {
        let mut command = Command::new(programs::setpriv()?);
        command.args(["--pdeathsig", self.orphan_signal]);
        if let Some(user) = self.user {
            command.args(["--reuid", user, "--regid", user, "--init-groups"]);
            // The data may lie below a folder that only root can enter.
            command.args(["--inh-caps", "+dac_override", "--ambient-caps", "+dac_override"]);
        }
        command.arg("--").arg(&self.program).args(&self.args);
        command.env_clear().envs(INHERITED_ENV.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        // A group of its own, so that Ctrl-C reaches us alone and we choose the order.
        command.stdin(Stdio::null()).process_group(0);
        Ok(command)
    }

    fn open_log(&self) -> Result<File> {
        if let Some(folder) = self.log.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        log.with_context(|| format!("cannot write {}", self.log.display()))
    }
}

/// A running or ended child. Dropping it kills and reaps it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    log_start: u64,
}

impl Process {
    /// Starts the program.
    ///
    /// # Errors
    /// When the program or `setpriv` cannot be executed or the log cannot be written.
    pub fn spawn(launch: &Launch) -> Result<Self> {
        let log = launch.open_log()?;
        let log_start = log.metadata()?.len();
        let mut command = launch.command()?;
        command.stdout(log.try_clone()?).stderr(log);
        let child = launcher::spawn(command).with_context(|| format!("cannot start {}", launch.name))?;
        Ok(Self { name: launch.name.clone(), child, log: launch.log.clone(), log_start })
    }

    /// Its process id, also after its end.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, or `None` while it runs.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Sends a signal; without effect once it has ended.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.exited().is_some() {
            return Ok(());
        }
        // Not reaped yet, so the id is still its own.
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Waits until it has ended; kills it when that takes longer. Whether it ended by itself.
    ///
    /// # Errors
    /// When the kernel refuses the kill.
    pub async fn ended(&mut self, within: Duration) -> io::Result<bool> {
        let deadline = Instant::now() + within;
        while Instant::now() < deadline {
            if self.exited().is_some() {
                return Ok(true);
            }
            sleep(POLL).await;
        }
        self.kill()?;
        Ok(false)
    }

    /// Waits until it has ended or the time is over.
    pub fn wait_blocking(&mut self, within: Duration) {
        let deadline = std::time::Instant::now() + within;
        while self.exited().is_none() && std::time::Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
    }

    /// Kills it without notice (SIGKILL) and reaps it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        self.child.kill()?;
        self.child.wait()
    }

    /// The last lines that it wrote since this start, for a message about its end.
    pub fn last_lines(&self, count: usize) -> String {
        let text = read_from(&self.log, self.log_start).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing is left to do about a failure here, and it has most likely ended already.
        let _ = self.kill();
    }
}

fn read_from(path: &Path, start: u64) -> io::Result<String> {
    /// What a message can need; a log may be large.
    const MAX_BYTES: u64 = 64 * 1024;
    let mut file = File::open(path)?;
    let end = file.metadata()?.len();
    file.seek(SeekFrom::Start(start.max(end.saturating_sub(MAX_BYTES))))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn who_does_not_heed_a_signal_is_killed_for_that() {
        let dir = tempfile::tempdir().unwrap();
        for (trap, by_itself) in [("exit", true), ("", false)] {
            let mut process = Process::spawn(&Launch {
                name: "sh".to_owned(),
                program: "/bin/sh".into(),
                args: ["-c".into(), format!("trap '{trap}' TERM; echo ready; while :; do sleep 0.01; done").into()]
                    .into(),
                env: Vec::new(),
                log: dir.path().join("log"),
                orphan_signal: "KILL",
                user: None,
            })
            .unwrap();
            while process.last_lines(1) != "ready" {
                sleep(POLL).await;
            }
            process.signal(Signal::TERM).unwrap();
            let within = if by_itself { PATIENCE } else { Duration::from_millis(100) };
            assert_eq!(process.ended(within).await.unwrap(), by_itself);
            assert!(process.exited().is_some());
        }
    }
}

//! A disk that is full for one server: its processes can write to no file.

use std::{fs, os::unix::fs::MetadataExt as _, process::Stdio};

use anyhow::{Result, ensure};
use tokio::process::Command;

/// The servers that can write nothing at present.
///
/// A soft `RLIMIT_FSIZE` of zero fails each write with EFBIG, where a full disk says ENOSPC. PostgreSQL treats both
/// alike, and ignores the signal that comes along (`SIGXFSZ` in its `postmaster.c`).
#[derive(Debug, Default)]
pub(super) struct Disk {
    full_for: Vec<u32>,
}

impl Disk {
    /// Fills the disk for a process and its children; those that it starts later inherit it.
    pub(super) async fn fill(&mut self, root: u32) -> Result<()> {
        self.full_for.push(root);
        if let Err(error) = limit(root, "0").await {
            // Who has ended, as a server does whose disk was full before, writes nothing either.
            ensure!(has_ended(root), "cannot limit process {root}: {error}");
        }
        for child in children(root) {
            // It may have ended.
            let _ = limit(child, "0").await;
        }
        Ok(())
    }

    /// There is room again.
    pub(super) async fn free(&mut self) {
        for root in std::mem::take(&mut self.full_for) {
            // The parent first, so that nobody inherits the limit any more. If it has ended, so have all of them.
            let _ = limit(root, "unlimited").await;
            for child in children(root) {
                let _ = limit(child, "unlimited").await;
            }
        }
    }
}

/// Sets a process' soft limit, as the user who owns it: root in a container may lack the right to do so for others.
async fn limit(pid: u32, bytes: &str) -> Result<()> {
    let owner = fs::metadata(format!("/proc/{pid}"))?;
    let (uid, gid) = (owner.uid().to_string(), owner.gid().to_string());
    let mut prlimit = if owner.uid() == rustix::process::geteuid().as_raw() {
        Command::new("prlimit")
    } else {
        let mut setpriv = Command::new("setpriv");
        setpriv.args(["--reuid", &uid, "--regid", &gid, "--clear-groups", "prlimit"]);
        setpriv
    };
    prlimit.args(["--pid", &pid.to_string(), &format!("--fsize={bytes}:")]);
    let status = prlimit.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).status().await?;
    ensure!(status.success(), "prlimit failed ({status})");
    Ok(())
}

/// Also of one whose end nobody has taken notice of yet.
fn has_ended(pid: u32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_err()
}

fn children(root: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{root}/task/{root}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_full_for(pid: u32) -> bool {
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let size = limits.lines().find(|line| line.starts_with("Max file size")).unwrap();
        size.split_whitespace().nth(3) == Some("0")
    }

    #[tokio::test]
    async fn who_has_ended_needs_no_full_disk() {
        let mut ended = Command::new("true").spawn().unwrap();
        let pid = ended.id().unwrap();
        while !has_ended(pid) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        Disk::default().fill(pid).await.unwrap();
        ended.wait().await.unwrap();
    }

    #[tokio::test]
    async fn there_is_room_again_for_everybody() {
        let sleep = || Command::new("sleep").arg("60").kill_on_drop(true).spawn().unwrap();
        let (one, two) = (sleep(), sleep());
        let pids = [one.id().unwrap(), two.id().unwrap()];
        let mut disk = Disk::default();
        for pid in pids {
            disk.fill(pid).await.unwrap();
        }
        assert_eq!(pids.map(is_full_for), [true; 2]);
        disk.free().await;
        assert_eq!(pids.map(is_full_for), [false; 2]);
    }
}

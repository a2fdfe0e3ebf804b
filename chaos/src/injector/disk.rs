//! A disk that is full for one server: no file of its processes may get longer, and none may be written to at all.

use std::fs;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

/// The processes that can write nothing at present.
///
/// `RLIMIT_FSIZE` fails a write with EFBIG, where a full disk says ENOSPC; PostgreSQL treats both alike, and ignores the
/// signal that comes along (`SIGXFSZ` in its `postmaster.c`).
#[derive(Debug, Default)]
pub(super) struct Disk {
    full_for: Vec<Pid>,
}

impl Disk {
    /// Fills the disk for a process and its children; those that it starts later inherit it.
    pub(super) fn fill(&mut self, root: u32) -> Result<()> {
        for pid in with_children(root).into_iter().filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
            limit(pid, Some(0)).with_context(|| format!("cannot limit process {pid:?}"))?;
            self.full_for.push(pid);
        }
        Ok(())
    }

    /// There is room again.
    pub(super) fn free(&mut self) {
        for pid in std::mem::take(&mut self.full_for) {
            // Who has started since inherited the limit from one of these.
            for child in with_children(pid.as_raw_nonzero().get().unsigned_abs()) {
                if let Some(child) = i32::try_from(child).ok().and_then(Pid::from_raw) {
                    // It may have ended.
                    let _ = limit(child, None);
                }
            }
        }
    }
}

fn limit(pid: Pid, bytes: Option<u64>) -> rustix::io::Result<Rlimit> {
    let hard = rustix::process::getrlimit(Resource::Fsize).maximum;
    prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes.or(hard), maximum: hard })
}

fn with_children(root: u32) -> Vec<u32> {
    let tasks = fs::read_to_string(format!("/proc/{root}/task/{root}/children")).unwrap_or_default();
    std::iter::once(root).chain(tasks.split_whitespace().filter_map(|pid| pid.parse().ok())).collect()
}

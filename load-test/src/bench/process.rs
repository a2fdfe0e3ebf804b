//! What the kernel says of a process: memory and processor time (`proc(5)`).

use std::{ops, time::Duration};

use anyhow::{Context as _, ensure};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::stats::number;

/// How often memory is looked at while it settles.
const POLL: Duration = Duration::from_secs(1);
/// Memory has settled when so many looks in a row differ by less than [`TOLERANCE`].
const QUIET_LOOKS: usize = 4;
/// One part in this many.
const TOLERANCE: u64 = 1_000;
/// From then on it is taken as it is.
const SETTLE_LIMIT: Duration = Duration::from_mins(1);

/// A process that is measured.
#[derive(Debug, Clone, Copy)]
pub struct Process(pub u32);

/// Processor time, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cpu {
    /// Of its own code.
    pub user_s: f64,
    /// Of the kernel for it.
    pub system_s: f64,
}

impl Process {
    /// User-space memory in bytes: its proportional set size.
    ///
    /// # Errors
    /// If it is gone, or somebody else's.
    pub fn pss(self) -> anyhow::Result<u64> {
        let path = format!("/proc/{}/smaps_rollup", self.0);
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let kilobytes = text.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix("kB"));
        Ok(kilobytes.with_context(|| format!("{path} tells no Pss"))?.trim().parse::<u64>()? * 1024)
    }

    /// Processor time since its start, all threads together.
    pub fn cpu(self) -> anyhow::Result<Cpu> {
        let path = format!("/proc/{}/stat", self.0);
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        // The second field is a name in parentheses, which may hold anything.
        let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let per_second = number(rustix::param::clock_ticks_per_second());
        // utime and stime, the 14th and 15th field.
        let seconds = |index: usize| -> anyhow::Result<f64> {
            Ok(number(fields.get(index).context("a short stat")?.parse()?) / per_second)
        };
        Ok(Cpu { user_s: seconds(11)?, system_s: seconds(12)? })
    }
}

impl Cpu {
    /// User and system time.
    pub fn total_s(self) -> f64 {
        self.user_s + self.system_s
    }
}

impl ops::Add for Cpu {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { user_s: self.user_s + other.user_s, system_s: self.system_s + other.system_s }
    }
}

impl ops::Sub for Cpu {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { user_s: self.user_s - other.user_s, system_s: self.system_s - other.system_s }
    }
}

/// The memory of several processes together.
pub fn pss(processes: &[Process]) -> anyhow::Result<u64> {
    processes.iter().map(|process| process.pss()).sum()
}

/// The processor time of several processes together.
pub fn cpu(processes: &[Process]) -> anyhow::Result<Cpu> {
    processes.iter().try_fold(Cpu::default(), |sum, process| Ok(sum + process.cpu()?))
}

/// Their memory once it has stopped to change.
pub async fn settled_pss(processes: &[Process]) -> anyhow::Result<u64> {
    ensure!(!processes.is_empty(), "nothing to measure");
    let begun = Instant::now();
    let mut looks = vec![pss(processes)?];
    while begun.elapsed() < SETTLE_LIMIT {
        sleep(POLL).await;
        looks.push(pss(processes)?);
        let recent = &looks[looks.len().saturating_sub(QUIET_LOOKS)..];
        let (least, most) =
            recent.iter().fold((u64::MAX, 0), |(least, most), look| (least.min(*look), most.max(*look)));
        if recent.len() == QUIET_LOOKS && most - least <= most / TOLERANCE {
            break;
        }
    }
    Ok(looks.last().copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_has_worked() {
        let own = Process(std::process::id());
        assert!(own.pss().unwrap() > 100_000);
        let before = own.cpu().unwrap();
        let begun = std::time::Instant::now();
        while own.cpu().unwrap().total_s() <= before.total_s() {
            assert!(begun.elapsed() < Duration::from_secs(30), "no tick was counted");
        }
    }

    #[test]
    fn who_is_gone_is_an_error() {
        // Above the largest id that the kernel gives.
        assert!(Process(u32::MAX).pss().is_err());
        assert!(Process(u32::MAX).cpu().is_err());
    }
}

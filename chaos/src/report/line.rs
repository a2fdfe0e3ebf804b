//! The line of each second.

use std::time::Duration;

use crate::{crowd::Progress, schedule::Schedule};

/// The line of each second, on standard error.
#[derive(Debug)]
pub struct Line {
    seed: u64,
    shown: Progress,
    shown_at: Duration,
}

impl Line {
    /// Nothing shown yet.
    pub fn new(seed: u64) -> Self {
        Self { seed, shown: Progress::default(), shown_at: Duration::ZERO }
    }

    /// Shows what happened since the line before.
    pub fn show(&mut self, now: Duration, progress: &Progress, schedule: &Schedule) {
        let lasting = schedule.faults().iter().filter(|fault| fault.end() > self.shown_at && fault.at <= now);
        let lasting: Vec<String> = lasting.map(|fault| format!("{} {}", fault.kind.name(), fault.target)).collect();
        eprintln!(
            "seed {} {:>4.0} s  acked {} (+{})  received {}  refused {}  connected {}  milestones {}  \
             violations {}  {}",
            self.seed,
            now.as_secs_f64(),
            progress.acked,
            progress.acked.saturating_sub(self.shown.acked),
            progress.received,
            progress.refused,
            progress.connected,
            progress.milestones,
            progress.violations,
            lasting.join(", "),
        );
        (self.shown, self.shown_at) = (*progress, now);
    }
}

//! What a campaign tells people and programs: a line per second, tables, a JSON result.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf, time::Duration};

use promises::{Promise, Tally};
use serde::Serialize;
use serde_json::{Map, json};

use crate::{
    blame::Waits,
    crowd::{Outcome, Refusals},
    schedule::Schedule,
};

mod line;

pub use line::Line;

/// A run and what became of it.
#[derive(Debug)]
pub struct RunReport {
    /// Of the run.
    pub seed: u64,
    /// What repeats it.
    pub command: String,
    /// The faults as text.
    pub schedule: String,
    /// How many of them struck.
    pub faults: usize,
    /// From the first message to the end of the last fault.
    pub lasted: Duration,
    /// The longest waits by fault.
    pub waits: BTreeMap<String, Waits>,
    /// What went wrong besides the promises.
    pub troubles: Vec<String>,
    /// What the crowd saw.
    pub outcome: Outcome,
    /// The data folder, if it was kept.
    pub folder: Option<PathBuf>,
}

impl RunReport {
    /// Whether something was acked, nothing went wrong besides, and every promise was kept.
    pub fn is_ok(&self) -> bool {
        self.outcome.tally.violations() == 0 && self.troubles.is_empty() && self.outcome.progress.acked > 0
    }

    /// What is wrong with it, and how to see it again; empty if nothing is.
    pub fn failure(&self) -> String {
        let mut text = String::new();
        if self.is_ok() {
            return text;
        }
        let _ = writeln!(text, "FAILED: seed {}, again with\n  {}", self.seed, self.command);
        for trouble in &self.troubles {
            let _ = writeln!(text, "  {trouble}");
        }
        if self.outcome.progress.acked == 0 {
            text += "  no message was acked\n";
        }
        for violation in self.outcome.tally.kept() {
            let _ = writeln!(text, "  {violation}");
        }
        text
    }
}

/// All runs of a campaign, added up.
#[derive(Debug, Default)]
pub struct Campaign {
    runs: u64,
    failed: u64,
    faults: u64,
    lasted: Duration,
    acked: u64,
    received: u64,
    refused: u64,
    refusals: Refusals,
    tally: Tally,
    waits: BTreeMap<String, Waits>,
    failures: Vec<Failure>,
}

/// A run that failed, as the JSON result has it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    seed: u64,
    schedule: String,
    command: String,
    what: String,
}

impl Campaign {
    /// Adds a run.
    pub fn add(&mut self, run: RunReport) {
        self.runs += 1;
        self.faults += run.faults as u64;
        self.lasted += run.lasted;
        self.acked += run.outcome.progress.acked;
        self.received += run.outcome.progress.received;
        self.refused += run.outcome.progress.refused;
        for (code, count) in &run.outcome.refusals {
            *self.refusals.entry(code).or_default() += count;
        }
        for (label, waits) in &run.waits {
            self.waits.entry(label.clone()).or_default().merge(waits);
        }
        if !run.is_ok() {
            self.failed += 1;
            let what = run.failure();
            self.failures.push(Failure { seed: run.seed, schedule: run.schedule, command: run.command, what });
        }
        self.tally.merge(run.outcome.tally);
    }

    /// Adds a run that could not be done to its end.
    pub fn add_undone(&mut self, seed: u64, schedule: &Schedule, command: String, error: &anyhow::Error) {
        self.runs += 1;
        self.failed += 1;
        let (schedule, what) = (schedule.to_string(), format!("{error:#}"));
        self.failures.push(Failure { seed, schedule, command, what });
    }

    /// Whether there was a run and none failed.
    pub fn is_ok(&self) -> bool {
        self.runs > 0 && self.failed == 0
    }

    /// The tables.
    pub fn summary(&self) -> String {
        let Self { runs, faults, acked, received, refused, .. } = self;
        let lasted_s = self.lasted.as_secs_f64();
        format!(
            "{runs} runs, {faults} faults, {lasted_s:.0} s: {acked} messages acked, {received} received, {refused} \
             refusals told {:?}\n\n{}\n{}\n{}\n",
            self.refusals,
            self.promises(),
            self.longest_waits(),
            self.verdict()
        )
    }

    fn promises(&self) -> String {
        let mut text = format!("{:<28} {:>12} {:>10}\n", "promise", "checked", "violations");
        for promise in Promise::ALL {
            let count = self.tally.of(promise);
            let _ = writeln!(text, "{:<28} {:>12} {:>10}", promise.name(), count.checked, count.violations);
        }
        text
    }

    fn longest_waits(&self) -> String {
        let mut text = format!(
            "{:<36} {:>9} {:>9} {:>9} {:>9} {:>9}\n",
            "longest waits in seconds", "struck", "silence", "ack", "return", "milestone"
        );
        for (label, waits) in &self.waits {
            let _ = write!(text, "{label:<36} {:>9}", waits.times);
            for wait_ms in [waits.silence_ms, waits.ack_ms, waits.return_ms, waits.milestone_ms] {
                let _ = write!(text, " {:>9}", seconds(wait_ms));
            }
            text.push('\n');
        }
        text
    }

    fn verdict(&self) -> String {
        if self.is_ok() {
            return "every promise was kept".to_owned();
        }
        let seeds: Vec<String> = self.failures.iter().map(|failure| failure.seed.to_string()).collect();
        format!("FAILED: {} of {} runs, seeds {}", self.failed, self.runs, seeds.join(", "))
    }

    /// The JSON result.
    pub fn json(&self) -> String {
        let promises = Promise::ALL.iter().map(|promise| {
            let count = self.tally.of(*promise);
            (promise.name().to_owned(), json!({ "checked": count.checked, "violations": count.violations }))
        });
        let result = json!({
            "ok": self.is_ok(),
            "runs": self.runs,
            "failed": self.failed,
            "faults": self.faults,
            "seconds": self.lasted.as_secs_f64(),
            "acked": self.acked,
            "received": self.received,
            "refused": self.refused,
            "promises": promises.collect::<Map<_, _>>(),
            "longestWaits": self.waits,
            "failures": self.failures,
        });
        format!("{result:#}")
    }
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use promises::Violation;

    use crate::{crowd::Progress, stalls::Stalls};

    fn run(tally: Tally) -> RunReport {
        let progress = Progress { acked: 12, ..Progress::default() };
        RunReport {
            seed: 9,
            command: "./dev chaos --seed 9 --schedule '2+1 kill redis'".to_owned(),
            schedule: "2+1 kill redis".to_owned(),
            faults: 1,
            lasted: Duration::from_secs(4),
            waits: BTreeMap::new(),
            troubles: Vec::new(),
            outcome: Outcome { progress, refusals: Refusals::new(), stalls: Stalls::default(), tally },
            folder: None,
        }
    }

    #[test]
    fn a_failure_names_the_seed_the_command_that_repeats_it_and_the_trace() {
        let mut tally = Tally::default();
        tally.violated(Violation {
            promise: Promise::Durable,
            at: Duration::from_millis(2_500),
            scene: "match m".to_owned(),
            what: "7 is gone".to_owned(),
            trace: vec!["it was sent".to_owned(), "it was acked".to_owned()],
        });
        let failed = RunReport { troubles: vec!["redis would not start".to_owned()], ..run(tally) };
        assert_eq!(
            failed.failure(),
            "FAILED: seed 9, again with\n  ./dev chaos --seed 9 --schedule '2+1 kill redis'\n  redis would not start\n  \
             acked is stored · 2.500 s · match m: 7 is gone\n    it was sent\n    it was acked\n"
        );
    }

    #[test]
    fn a_run_in_which_nothing_was_acked_has_failed() {
        let mut silent = run(Tally::default());
        assert_eq!(silent.failure(), "");
        silent.outcome.progress.acked = 0;
        assert!(silent.failure().contains("no message was acked"), "{}", silent.failure());
    }
}

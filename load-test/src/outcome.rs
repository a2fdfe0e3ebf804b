//! All that a run found out, and whether it is a success.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use crate::{
    ledger::Violation,
    stage::Measured,
    stats::{Counts, Latencies},
};

/// How many violations the result shows.
const EXAMPLES: usize = 20;

/// A violation and where it happened.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Example {
    match_id: String,
    #[serde(flatten)]
    violation: Violation,
}

/// The verdict on all matches.
#[derive(Debug, Default, Serialize)]
pub struct Check {
    /// How often a promise was not kept.
    pub violations: usize,
    /// The first few.
    pub examples: Vec<Example>,
}

/// All that a run found out.
pub struct Outcome {
    /// Counted over the whole run.
    pub total: Counts,
    /// Counted while sending was measured.
    pub measured: Counts,
    /// How long that was.
    pub measured_for: Duration,
    /// Latencies of what was intended in that time.
    pub latencies: Latencies,
    /// Error codes and connection failures by their text.
    pub codes: BTreeMap<String, u64>,
    /// Whether the promises were kept.
    pub check: Check,
    /// Whether it ended early.
    pub interrupted: bool,
    /// The stages one by one.
    pub stages: Vec<Measured>,
    /// With a surge: how long after it latencies were as before it.
    pub calmed_after: Option<Duration>,
}

impl Check {
    /// Adds what was found in a match: how often a promise was not kept, and the first violations.
    pub fn add(&mut self, match_id: &str, first: Vec<Violation>, count: usize) {
        self.violations += count;
        let room = EXAMPLES.saturating_sub(self.examples.len());
        let examples = first.into_iter().take(room);
        self.examples.extend(examples.map(|violation| Example { match_id: match_id.to_owned(), violation }));
    }
}

impl Outcome {
    /// Whether the run is a success: something was acked, nobody was turned away, and every promise was kept.
    pub fn is_ok(&self) -> bool {
        self.check.violations == 0 && self.total.acked > 0 && self.total.refused_users == 0
    }
}

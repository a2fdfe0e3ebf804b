//! All that a run found out, and whether it is a success.

use std::{collections::BTreeMap, time::Duration};

use promises::Tally;

use crate::{
    stage::Measured,
    stats::{Counts, Latencies},
};

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
    pub check: Tally,
    /// Whether it ended early.
    pub interrupted: bool,
    /// The stages one by one.
    pub stages: Vec<Measured>,
    /// With a surge: how long after it latencies were as before it.
    pub calmed_after: Option<Duration>,
}

impl Outcome {
    /// Whether the run is a success: something was acked, nobody was turned away, and every promise was kept.
    pub fn is_ok(&self) -> bool {
        self.check.violations() == 0 && self.total.acked > 0 && self.total.refused_users == 0
    }
}

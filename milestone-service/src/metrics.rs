//! Every instrument of milestone-service.

use std::time::Duration;

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Histogram},
};
use service_kit::telemetry;

/// What the service counts of itself.
#[derive(Debug, Clone)]
pub struct Metrics {
    batches: Counter<u64>,
    batch_duration: Histogram<f64>,
    heads: Counter<u64>,
    registers_rebuilt: Counter<u64>,
    milestones_recorded: Counter<u64>,
}

/// What became of one JetStream message.
#[derive(Debug, Clone, Copy)]
pub enum BatchOutcome {
    /// All its heads are counted and their milestones recorded.
    Counted,
    /// It will be delivered again.
    Retried,
    /// It cannot be decoded.
    Dropped,
}

impl Metrics {
    /// The instruments, on the process's meter.
    pub fn new() -> Self {
        let meter = global::meter(crate::NAME);
        Self {
            batches: meter.u64_counter("milestone.batches").build(),
            batch_duration: telemetry::seconds(
                &meter,
                "milestone.batch.duration",
                "From a message of the stream to its acknowledgement.",
            ),
            heads: meter.u64_counter("milestone.heads").build(),
            registers_rebuilt: meter.u64_counter("milestone.registers_rebuilt").build(),
            milestones_recorded: meter.u64_counter("milestone.recorded").build(),
        }
    }

    /// One message of the stream was worked on.
    pub fn batch(&self, outcome: BatchOutcome, took: Duration) {
        let outcome = match outcome {
            BatchOutcome::Counted => "counted",
            BatchOutcome::Retried => "retried",
            BatchOutcome::Dropped => "dropped",
        };
        self.batches.add(1, &[KeyValue::new("outcome", outcome)]);
        self.batch_duration.record(took.as_secs_f64(), &[]);
    }

    /// Heads of matches were seen.
    pub fn heads(&self, count: usize) {
        self.heads.add(u64::try_from(count).unwrap_or(u64::MAX), &[]);
    }

    /// Registers were missing in Redis and started from the committed head.
    pub fn registers_rebuilt(&self, count: usize) {
        self.registers_rebuilt.add(u64::try_from(count).unwrap_or(u64::MAX), &[]);
    }

    /// A match reached a milestone, and this call was the one that recorded it.
    pub fn milestone_recorded(&self, milestone_id: &str) {
        self.milestones_recorded.add(1, &[KeyValue::new("milestone", milestone_id.to_owned())]);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

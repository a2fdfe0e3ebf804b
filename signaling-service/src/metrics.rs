//! Every instrument of signaling-service.

use std::time::Duration;

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Histogram},
};

use service_kit::telemetry;

use crate::call::Reason;

/// What the service counts of itself.
#[derive(Debug, Clone)]
pub struct Metrics {
    calls_started: Counter<u64>,
    calls_ended: Counter<u64>,
    changes_lost: Counter<u64>,
    command_duration: Histogram<f64>,
}

impl Metrics {
    /// The instruments, on the process's meter.
    pub fn new() -> Self {
        let meter = global::meter(crate::NAME);
        Self {
            calls_started: meter.u64_counter("call.started").build(),
            calls_ended: meter.u64_counter("call.ended").build(),
            changes_lost: meter.u64_counter("call.changes_lost").build(),
            command_duration: telemetry::seconds(&meter, "call.command.duration", "From a command to its answer."),
        }
    }

    /// A call began to ring.
    pub fn call_started(&self) {
        self.calls_started.add(1, &[]);
    }

    /// A call ended.
    pub fn call_ended(&self, reason: Reason) {
        self.calls_ended.add(1, &[KeyValue::new("reason", reason.as_str())]);
    }

    /// A change was not stored because the call had changed meanwhile.
    pub fn change_lost(&self) {
        self.changes_lost.add(1, &[]);
    }

    /// A command was answered.
    pub fn command(&self, command: &'static str, outcome: &'static str, took: Duration) {
        let attributes = [KeyValue::new("command", command), KeyValue::new("outcome", outcome)];
        self.command_duration.record(took.as_secs_f64(), &attributes);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

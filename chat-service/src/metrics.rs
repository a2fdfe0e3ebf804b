//! Every instrument of chat-service.

use std::time::Duration;

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Gauge, Histogram, UpDownCounter},
};
use proto::chat::{Code, SendResult, send_result};

use crate::store::Backlog;

/// From half a millisecond, a fast disk's flush, to the trip time-out.
const COMMIT_BOUNDS_S: [f64; 12] = [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 1.0, 4.0];
const ROW_BOUNDS: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 200.0, 400.0];

/// How a request came to this replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// As the owner of this partition.
    Owner(u8),
    /// As any replica, because the owner was gone or silent.
    Any,
}

/// What is measured.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    rows_per_commit: Histogram<u64>,
    commit_duration: Histogram<f64>,
    commit_failures: Counter<u64>,
    sends: Counter<u64>,
    publish_failures: Counter<u64>,
    queue_depth: UpDownCounter<i64>,
    requests: Counter<u64>,
    owned_partitions: Gauge<u64>,
    erasures: Counter<u64>,
    erasures_waiting: Gauge<u64>,
    erasures_oldest: Gauge<f64>,
}

impl Metrics {
    /// The instruments, on the process's meter.
    #[allow(clippy::disallowed_methods, reason = "a COMMIT has bounds of its own")]
    #[allow(clippy::too_many_lines, reason = "one line for each instrument")]
    pub(crate) fn new() -> Self {
        let meter = global::meter("chat-service");
        Self {
            rows_per_commit: meter
                .u64_histogram("chat.commit.rows")
                .with_unit("{row}")
                .with_description("Messages that one COMMIT stored")
                .with_boundaries(ROW_BOUNDS.to_vec())
                .build(),
            commit_duration: meter
                .f64_histogram("chat.commit.duration")
                .with_unit("s")
                .with_description("From the BEGIN of a batch to the end of its COMMIT")
                .with_boundaries(COMMIT_BOUNDS_S.to_vec())
                .build(),
            commit_failures: meter
                .u64_counter("chat.commit.failures")
                .with_unit("{batch}")
                .with_description("Batches that did not commit at once, by why")
                .build(),
            sends: meter
                .u64_counter("chat.sends")
                .with_unit("{message}")
                .with_description("Drafts answered, by outcome")
                .build(),
            publish_failures: meter
                .u64_counter("chat.publish.failures")
                .with_unit("{message}")
                .with_description("Events that NATS did not take, by kind")
                .build(),
            queue_depth: meter
                .i64_up_down_counter("chat.queue.depth")
                .with_unit("{request}")
                .with_description("Requests that wait for a lane or are being committed")
                .build(),
            requests: meter
                .u64_counter("chat.requests")
                .with_unit("{request}")
                .with_description(
                    "Requests to send, by whether they came to the owner of the partition or to any replica",
                )
                .build(),
            owned_partitions: meter
                .u64_gauge("chat.partitions.owned")
                .with_unit("{partition}")
                .with_description("Partitions that this replica owns")
                .build(),
            erasures: meter
                .u64_counter("chat.erasures")
                .with_unit("{user}")
                .with_description("Attempts to erase a user, by outcome")
                .build(),
            erasures_waiting: meter
                .u64_gauge("chat.erasures.waiting")
                .with_unit("{user}")
                .with_description("Users whose erasure is not done, as every replica sees it")
                .build(),
            erasures_oldest: meter
                .f64_gauge("chat.erasures.oldest")
                .with_unit("s")
                .with_description("For how long the first of them has waited")
                .build(),
        }
    }

    pub(crate) fn committed(&self, rows: usize, took: Duration) {
        self.rows_per_commit.record(u64::try_from(rows).unwrap_or(u64::MAX), &[]);
        self.commit_duration.record(took.as_secs_f64(), &[]);
    }

    pub(crate) fn commit_failed(&self, why: &'static str) {
        self.commit_failures.add(1, &[KeyValue::new("reason", why)]);
    }

    pub(crate) fn answered(&self, results: &[SendResult]) {
        for result in results {
            self.sends.add(1, &[KeyValue::new("outcome", outcome(result))]);
        }
    }

    pub(crate) fn publish_failed(&self, kind: &'static str) {
        self.publish_failures.add(1, &[KeyValue::new("kind", kind)]);
    }

    pub(crate) fn requested(&self, route: Route) {
        let route = match route {
            Route::Owner(_) => "owner",
            Route::Any => "any",
        };
        self.requests.add(1, &[KeyValue::new("route", route)]);
    }

    pub(crate) fn owned(&self, partitions: usize) {
        self.owned_partitions.record(u64::try_from(partitions).unwrap_or(u64::MAX), &[]);
    }

    pub(crate) fn erased(&self, outcome: &'static str) {
        self.erasures.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    pub(crate) fn erasures_left(&self, Backlog { users, oldest }: Backlog) {
        self.erasures_waiting.record(u64::try_from(users).unwrap_or(0), &[]);
        self.erasures_oldest.record(oldest.as_secs_f64(), &[]);
    }

    pub(crate) fn queued(&self, change: i64) {
        self.queue_depth.add(change, &[]);
    }
}

fn outcome(result: &SendResult) -> &'static str {
    match &result.result {
        Some(send_result::Result::Stored(stored)) if stored.duplicate => "duplicate",
        Some(send_result::Result::Stored(_)) => "stored",
        Some(send_result::Result::Failure(failure)) => match failure.code() {
            Code::MatchNotFound => "match_not_found",
            Code::MessageNotFound => "message_not_found",
            Code::MatchClosed => "match_closed",
            Code::IdempotencyConflict => "idempotency_conflict",
            Code::RateLimited => "rate_limited",
            Code::Unavailable => "unavailable",
            Code::InvalidPayload => "invalid_payload",
            // No send is refused for the others.
            _ => "internal",
        },
        None => "internal",
    }
}

//! What happened so far, counted and timed by all users at once.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use hdrhistogram::Histogram;
use serde::Serialize;

/// The longest latency told apart: two minutes, in microseconds. Longer ones count as this.
const LONGEST_US: u64 = 120_000_000;
/// Significant decimal digits of a latency.
const DIGITS: u8 = 3;

/// A count that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts one.
    pub fn count(&self) {
        self.add(1);
    }

    /// Counts `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Everything that is counted.
        #[derive(Debug, Default)]
        pub struct Counters { $($(#[$doc])* pub $name: Counter),* }

        /// The counts at one moment.
        #[derive(Debug, Default, Clone, Copy, Serialize)]
        #[serde(rename_all = "camelCase")]
        pub struct Counts { $($(#[$doc])* pub $name: u64),* }

        impl Counters {
            /// The counts now.
            pub fn read(&self) -> Counts {
                Counts { $($name: self.$name.get()),* }
            }
        }

        impl Counts {
            /// What was counted since `earlier`.
            #[must_use]
            pub fn since(&self, earlier: &Self) -> Self {
                Self { $($name: self.$name - earlier.$name),* }
            }

            /// Both together.
            #[must_use]
            pub fn plus(&self, other: &Self) -> Self {
                Self { $($name: self.$name + other.$name),* }
            }
        }
    };
}

counters! {
    /// Messages emitted for the first time.
    sent,
    /// Messages emitted again, with the same clientId.
    resent,
    /// Messages acked as stored.
    acked,
    /// Acks that said `duplicate`.
    duplicates,
    /// Messages that the other member got live.
    received_live,
    /// Messages that the other member got while it caught up after a reconnect: from a page, or held meanwhile.
    received_caught_up,
    /// Acks that said `RATE_LIMITED`.
    rate_limited,
    /// Acks that said another retryable error.
    retryable_errors,
    /// Messages refused for good.
    refused,
    /// Acks that did not come in time.
    ack_timeouts,
    /// Messages whose outcome nobody knows after all attempts.
    given_up,
    /// Messages that were due before the end and never emitted.
    unsent,
    /// Connections that the server accepted.
    connects,
    /// Connections that could not be opened.
    connect_failures,
    /// Connections that ended before the run did.
    disconnects,
    /// `milestone_reached` events.
    milestones,
    /// Users that joined their chat at least once.
    joined_users,
    /// Users that send nothing new any more.
    stopped_users,
    /// Users that were refused for good and left.
    refused_users,
}

impl Counts {
    /// Messages emitted and neither settled nor given up.
    pub fn unsettled(&self) -> u64 {
        self.sent.saturating_sub(self.acked + self.refused + self.given_up)
    }

    /// Messages that the other member got, live or caught up.
    pub fn received(&self) -> u64 {
        self.received_live + self.received_caught_up
    }
}

/// What a latency was measured of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// From the intended send time to the ack.
    Ack,
    /// From the intended send time to the other member, live or caught up.
    Receive,
    /// From the last emission to its ack: what the server alone is answerable for.
    Service,
    /// From the intended send time to the first emission: the generator's own lateness, and waiting for the window.
    Schedule,
}

/// Latencies in microseconds.
#[derive(Debug, Clone)]
pub struct Latencies {
    spans: [Histogram<u64>; 4],
}

impl Latencies {
    fn new() -> anyhow::Result<Self> {
        let histogram = Histogram::new_with_bounds(1, LONGEST_US, DIGITS)?;
        Ok(Self { spans: [0; 4].map(|_| histogram.clone()) })
    }

    /// The histogram of one span.
    pub fn of(&self, span: Span) -> &Histogram<u64> {
        &self.spans[span as usize]
    }

    /// What was recorded since `earlier`.
    #[must_use]
    pub fn since(mut self, earlier: &Self) -> Self {
        for (total, before) in self.spans.iter_mut().zip(&earlier.spans) {
            // Both have the same bounds, and `earlier` has nothing that this has not: the only ways to fail.
            let _ = total.subtract(before);
        }
        self
    }

    fn record(&mut self, span: Span, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.spans[span as usize].saturating_record(us.max(1));
    }

    /// Adds the other's samples to these.
    fn absorb(&mut self, other: &mut Self) {
        for (total, interval) in self.spans.iter_mut().zip(&mut other.spans) {
            // Both have the same bounds: the only way to fail.
            let _ = total.add(&*interval);
            interval.reset();
        }
    }
}

/// Counts, latencies of the current second, and refusals by code.
pub struct Stats {
    /// The counts.
    pub counters: Counters,
    interval: Mutex<Latencies>,
    total: Mutex<Latencies>,
    codes: Mutex<BTreeMap<String, u64>>,
}

impl Stats {
    /// Nothing counted yet.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self {
            counters: Counters::default(),
            interval: Mutex::new(Latencies::new()?),
            total: Mutex::new(Latencies::new()?),
            codes: Mutex::default(),
        })
    }

    /// Records one latency.
    pub fn record(&self, span: Span, latency: Duration) {
        lock(&self.interval).record(span, latency);
    }

    /// Counts an error code of the server.
    pub fn count_code(&self, code: &str) {
        *lock(&self.codes).entry(code.to_owned()).or_default() += 1;
    }

    /// The error codes so far.
    pub fn codes(&self) -> BTreeMap<String, u64> {
        lock(&self.codes).clone()
    }

    /// Ends an interval: returns its latencies and adds them to the total.
    pub fn take_interval(&self) -> Latencies {
        let mut interval = lock(&self.interval);
        let taken = interval.clone();
        lock(&self.total).absorb(&mut interval);
        taken
    }

    /// All latencies so far.
    pub fn total(&self) -> Latencies {
        self.take_interval();
        lock(&self.total).clone()
    }
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^52")]
pub fn number(count: u64) -> f64 {
    count as f64
}

/// Locks, even after a panic elsewhere: counts are right at any moment.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_ends_with_its_latencies_in_the_total() {
        let stats = Stats::new().unwrap();
        stats.record(Span::Ack, Duration::from_millis(5));
        assert_eq!(stats.take_interval().of(Span::Ack).len(), 1);
        assert_eq!(stats.take_interval().of(Span::Ack).len(), 0);
        stats.record(Span::Ack, Duration::from_millis(7));
        let total = stats.total();
        assert_eq!(total.of(Span::Ack).len(), 2);
        assert!((4_990..=5_010).contains(&total.of(Span::Ack).min()));
        assert_eq!(total.of(Span::Receive).len(), 0);
    }

    #[test]
    fn a_latency_beyond_the_bounds_counts_as_the_longest() {
        let stats = Stats::new().unwrap();
        stats.record(Span::Receive, Duration::from_hours(1));
        assert!(stats.total().of(Span::Receive).max() >= LONGEST_US);
    }

    #[test]
    fn unsettled_is_what_was_neither_acked_nor_refused_nor_given_up() {
        let counters = Counters::default();
        counters.sent.add(10);
        counters.acked.add(6);
        counters.refused.count();
        counters.given_up.count();
        assert_eq!(counters.read().unsettled(), 2);
    }
}

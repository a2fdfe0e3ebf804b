//! The stages of a run that are measured one by one: usually one, three with a surge.

use std::time::Duration;

use crate::stats::{Counts, Latencies, Span};

/// Latencies are back to normal when the 99th percentile of a second is at most this many times that of the first
/// stage.
const NORMAL: u64 = 2;

/// A time at one rate.
#[derive(Debug, Clone, Copy)]
pub struct Stage {
    /// What it is called.
    pub name: &'static str,
    /// Messages a second of all users together.
    pub rate: f64,
    /// How long it lasts.
    pub duration: Duration,
}

/// What was found out in one stage.
#[derive(Debug)]
pub struct Measured {
    /// Which.
    pub stage: Stage,
    /// When it began, since the run's origin.
    pub since: Duration,
    /// How long it was measured: shorter than planned if it was interrupted.
    pub lasted: Duration,
    /// Counted in that time.
    pub counts: Counts,
    /// Latencies of what was answered in that time.
    pub latencies: Latencies,
}

/// The 99th percentile of send → ack of one second of a run.
#[derive(Debug, Clone, Copy)]
pub struct Second {
    /// Its end, since the run's origin.
    pub end: Duration,
    /// Microseconds; 0 if nothing was acked.
    pub ack_p99_us: u64,
}

/// How long after the last stage but one it took until latencies were as in the first stage again; none if they never
/// were.
pub fn calmed_after(stages: &[Measured], seconds: &[Second]) -> Option<Duration> {
    let [first, .., last] = stages else { return None };
    let normal_us = NORMAL * first.latencies.of(Span::Ack).value_at_quantile(0.99);
    let is_normal = |second: &&Second| second.ack_p99_us > 0 && second.ack_p99_us <= normal_us;
    // Only whole seconds after it.
    let mut after = seconds.iter().filter(|second| second.end >= last.since + Duration::from_secs(1));
    Some(after.find(is_normal)?.end.saturating_sub(last.since))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Stats;

    fn measured(since_s: u64, ack_ms: u64) -> Measured {
        let stats = Stats::new().unwrap();
        stats.record(Span::Ack, Duration::from_millis(ack_ms));
        let stage = Stage { name: "stage", rate: 1.0, duration: Duration::from_secs(10) };
        let (since, lasted) = (Duration::from_secs(since_s), stage.duration);
        Measured { stage, since, lasted, counts: Counts::default(), latencies: stats.total() }
    }

    #[test]
    fn it_is_calm_when_a_whole_second_is_as_slow_as_twice_the_first_stage_at_most() {
        let stages = [measured(0, 10), measured(10, 400), measured(20, 50)];
        let second = |end_s, ack_p99_us| Second { end: Duration::from_secs(end_s), ack_p99_us };
        let seconds = [second(15, 9_000), second(20, 400_000), second(21, 90_000), second(22, 0), second(23, 19_000)];
        assert_eq!(calmed_after(&stages, &seconds), Some(Duration::from_secs(3)));
        assert_eq!(calmed_after(&stages, &seconds[..4]), None);
        assert_eq!(calmed_after(&stages[..1], &seconds), None);
    }
}

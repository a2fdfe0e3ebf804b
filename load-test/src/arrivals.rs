//! When a user means to send: a schedule that does not wait for any answer (open loop).

use std::{collections::VecDeque, time::Duration};

use clap::ValueEnum;
use serde::Serialize;

/// How the intended send times of one user are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Spacing {
    /// Independent of each other, as people write: exponential gaps.
    Poisson,
    /// Equal gaps, from a random phase.
    Constant,
}

/// The intended send times of one user, ascending, measured from the run's origin.
#[derive(Debug, Clone)]
pub struct Arrivals {
    rng: fastrand::Rng,
    spacing: Spacing,
    stages: VecDeque<Stage>,
    next_s: f64,
}

/// A time at one rate, up to its end.
#[derive(Debug, Clone)]
struct Stage {
    mean_gap_s: f64,
    end_s: f64,
}

impl Arrivals {
    /// Times in `start..end` at `rate` per second on average; none if `rate` is 0.
    pub fn new(spacing: Spacing, rate: f64, (start, end): (Duration, Duration), seed: u64) -> Self {
        Self::staged(spacing, start, [(rate, end)], seed)
    }

    /// Times from `start` on, at each of the rates up to the end beside it. The ends ascend.
    pub fn staged(
        spacing: Spacing,
        start: Duration,
        stages: impl IntoIterator<Item = (f64, Duration)>,
        seed: u64,
    ) -> Self {
        let mean_gap_s = |rate: f64| if rate > 0.0 { 1.0 / rate } else { f64::INFINITY };
        let stages = stages.into_iter();
        let stages = stages.map(|(rate, end)| Stage { mean_gap_s: mean_gap_s(rate), end_s: end.as_secs_f64() });
        let mut arrivals = Self { rng: fastrand::Rng::with_seed(seed), spacing, stages: stages.collect(), next_s: 0.0 };
        arrivals.begin_stage(start.as_secs_f64());
        arrivals
    }

    fn begin_stage(&mut self, start_s: f64) {
        let Some(Stage { mean_gap_s, .. }) = self.stages.front() else { return };
        let first_gap_s = match self.spacing {
            Spacing::Poisson => exponential(&mut self.rng, *mean_gap_s),
            Spacing::Constant => mean_gap_s * (1.0 - self.rng.f64()),
        };
        self.next_s = start_s + first_gap_s;
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        // A rate of 0 makes every gap infinite.
        while self.next_s >= self.stages.front()?.end_s {
            let over = self.stages.pop_front()?;
            self.begin_stage(over.end_s);
        }
        let mean_gap_s = self.stages.front()?.mean_gap_s;
        let intended = Duration::from_secs_f64(self.next_s);
        self.next_s += match self.spacing {
            Spacing::Poisson => exponential(&mut self.rng, mean_gap_s),
            Spacing::Constant => mean_gap_s,
        };
        Some(intended)
    }
}

/// An exponentially distributed gap, by inversion.
pub fn exponential(rng: &mut fastrand::Rng, mean: f64) -> f64 {
    // The logarithm of 1 would make 0 of an infinite mean undefined.
    -mean * (1.0 - rng.f64()).ln().min(-f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SPAN: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(103));

    proptest! {
        #[test]
        fn times_ascend_within_the_span(seed: u64, rate in 0.0..200.0) {
            for spacing in [Spacing::Poisson, Spacing::Constant] {
                let times: Vec<_> = Arrivals::new(spacing, rate, SPAN, seed).collect();
                prop_assert!(times.is_sorted());
                prop_assert!(times.iter().all(|at| (SPAN.0..SPAN.1).contains(at)));
            }
        }

        #[test]
        fn as_many_arrive_as_the_rate_says(seed: u64) {
            let count = Arrivals::new(Spacing::Constant, 20.0, SPAN, seed).count();
            prop_assert!((1999..=2001).contains(&count), "{}", count);
            // 2,000 expected with a deviation of 45: six of them.
            let count = Arrivals::new(Spacing::Poisson, 20.0, SPAN, seed).count();
            prop_assert!((1730..=2270).contains(&count), "{}", count);
        }
    }

    #[test]
    fn each_stage_has_its_own_rate() {
        let seconds = Duration::from_secs;
        for spacing in [Spacing::Constant, Spacing::Poisson] {
            let stages = [(100.0, seconds(10)), (300.0, seconds(20)), (0.0, seconds(30)), (100.0, seconds(40))];
            let times: Vec<_> = Arrivals::staged(spacing, seconds(0), stages, 5).collect();
            let count = |from, to| times.iter().filter(|at| (seconds(from)..seconds(to)).contains(*at)).count();
            assert!(times.is_sorted());
            // The deviation of 1,000 is 32, of 3,000 it is 55: six of them.
            assert!(count(0, 10).abs_diff(1_000) < 190 && count(10, 20).abs_diff(3_000) < 330);
            assert!(count(20, 30) == 0 && count(30, 40).abs_diff(1_000) < 190);
        }
    }

    #[test]
    fn a_rate_of_zero_sends_nothing() {
        assert_eq!(Arrivals::new(Spacing::Poisson, 0.0, SPAN, 1).next(), None);
        assert_eq!(Arrivals::new(Spacing::Constant, 0.0, SPAN, 1).next(), None);
    }

    #[test]
    fn the_same_seed_gives_the_same_times() {
        let times = |seed| Arrivals::new(Spacing::Poisson, 5.0, SPAN, seed).collect::<Vec<_>>();
        assert_eq!(times(7), times(7));
        assert_ne!(times(7), times(8));
    }
}

//! Many runs, on several threads, until one breaks a promise.

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use crate::{mistake::Mistake, promises::Violation, schedule::Schedule, shrink::shrink, world::run};

/// Runs of consecutive seeds.
#[derive(Debug, Clone, Copy)]
pub struct Campaign {
    /// The first seed.
    pub seed: u64,
    /// How many.
    pub schedules: u64,
    /// On how many threads.
    pub threads: usize,
    /// What is planted.
    pub mistake: Option<Mistake>,
}

/// What was checked.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Schedules that were run.
    pub schedules: u64,
    /// Acks that were held against the store.
    pub acked: u64,
    /// Deliveries that were held against the order of the chat.
    pub delivered: u64,
}

/// A run that broke a promise.
#[derive(Debug)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// The promise.
    pub violation: Violation,
    /// The smallest schedule found that breaks it too.
    pub smallest: Schedule,
    /// What happens in that one.
    pub trace: Vec<String>,
}

#[derive(Default)]
struct Tally {
    schedules: AtomicU64,
    acked: AtomicU64,
    delivered: AtomicU64,
    /// The lowest seed that failed.
    failed: Mutex<Option<(u64, Violation)>>,
}

impl Campaign {
    /// Runs until all seeds are done, or one has failed: that is shrunk.
    ///
    /// `progress` is told the figures now and then.
    pub fn run(&self, progress: impl Fn(Figures) + Sync) -> Result<Figures, Box<Failure>> {
        let (next, tally) = (AtomicU64::new(0), Tally::default());
        thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(|| self.work(&next, &tally, &progress));
            }
        });
        let failed = tally.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        match failed {
            Some((seed, violation)) => Err(Box::new(Failure::shrunk(seed, violation, self.mistake))),
            None => Ok(tally.figures()),
        }
    }

    fn work(&self, next: &AtomicU64, tally: &Tally, progress: &impl Fn(Figures)) {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= self.schedules || tally.has_failed() {
                return;
            }
            let seed = self.seed.wrapping_add(number);
            let outcome = run(&Schedule::of(seed), self.mistake, false);
            tally.acked.fetch_add(outcome.acked as u64, Ordering::Relaxed);
            tally.delivered.fetch_add(outcome.delivered as u64, Ordering::Relaxed);
            let done = tally.schedules.fetch_add(1, Ordering::Relaxed) + 1;
            if let Some(violation) = outcome.violation {
                tally.fail(seed, violation);
            }
            if done.is_multiple_of(PROGRESS_EVERY) {
                progress(tally.figures());
            }
        }
    }
}

const PROGRESS_EVERY: u64 = 10_000;

impl Tally {
    fn figures(&self) -> Figures {
        Figures {
            schedules: self.schedules.load(Ordering::Relaxed),
            acked: self.acked.load(Ordering::Relaxed),
            delivered: self.delivered.load(Ordering::Relaxed),
        }
    }

    fn has_failed(&self) -> bool {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn fail(&self, seed: u64, violation: Violation) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.as_ref().is_none_or(|(lowest, _)| seed < *lowest) {
            *failed = Some((seed, violation));
        }
    }
}

impl Failure {
    fn shrunk(seed: u64, violation: Violation, mistake: Option<Mistake>) -> Self {
        let smallest = shrink(&Schedule::of(seed), mistake, violation.promise);
        let trace = run(&smallest, mistake, true).trace;
        Self { seed, violation, smallest, trace }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} breaks {}", self.seed, self.violation)?;
        writeln!(f, "\nthe smallest schedule found that does so:\n{}", self.smallest)?;
        writeln!(f, "what happens in it:")?;
        self.trace.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

//! Many runs, on several threads, until one breaks a promise.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    thread,
};

use promises::Violation;

use crate::{
    mistake::Mistake,
    run::{Outcome, run},
    schedule::Schedule,
    shrink::shrink,
};

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
    begun: u64,
    done: Figures,
    /// The lowest seed that failed.
    failed: Option<(u64, Violation)>,
}

impl Campaign {
    /// Runs until all seeds are done, or one has failed: that is shrunk.
    ///
    /// `progress` is told the figures now and then.
    pub fn run(&self, progress: impl Fn(Figures) + Sync) -> Result<Figures, Box<Failure>> {
        let tally = Mutex::default();
        thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(|| self.work(&tally, &progress));
            }
        });
        let Tally { done, failed, .. } = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
        match failed {
            Some((seed, violation)) => Err(Box::new(Failure::shrunk(seed, violation, self.mistake))),
            None => Ok(done),
        }
    }

    fn work(&self, tally: &Mutex<Tally>, progress: &impl Fn(Figures)) {
        let lock = || tally.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let next = self.next_seed(&mut lock());
            let Some(seed) = next else { return };
            let outcome = run(&Schedule::of(seed), self.mistake, false);
            let mut tally = lock();
            tally.add(seed, outcome);
            if tally.done.schedules.is_multiple_of(PROGRESS_EVERY) {
                progress(tally.done);
            }
        }
    }

    /// The next seed to run; `None` when all are taken, or one has failed.
    fn next_seed(&self, tally: &mut Tally) -> Option<u64> {
        let number = tally.begun;
        tally.begun += 1;
        (number < self.schedules && tally.failed.is_none()).then(|| self.seed.wrapping_add(number))
    }
}

const PROGRESS_EVERY: u64 = 10_000;

impl Tally {
    fn add(&mut self, seed: u64, outcome: Outcome) {
        self.done.schedules += 1;
        self.done.acked += outcome.acked as u64;
        self.done.delivered += outcome.delivered as u64;
        let is_lowest = self.failed.as_ref().is_none_or(|(lowest, _)| seed < *lowest);
        if let Some(violation) = outcome.violation.filter(|_| is_lowest) {
            self.failed = Some((seed, violation));
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

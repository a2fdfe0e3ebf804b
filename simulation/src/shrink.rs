//! From a run that breaks a promise to the smallest one that still does.

use promises::Promise;

use crate::{
    mistake::Mistake,
    run::run,
    schedule::{Noise, Schedule, Step},
};

/// Runs that shrinking may take.
const MOST_RUNS: usize = 3_000;
/// With fewer steps every chance falls otherwise: a smaller schedule is tried with so many seeds.
const SEEDS: u64 = 4;

/// The smallest schedule found, by delta debugging (Zeller and Hildebrandt, 2002) over its steps, that breaks the same
/// promise.
pub fn shrink(schedule: &Schedule, mistake: Option<Mistake>, promise: Promise) -> Schedule {
    let mut search = Search { mistake, promise, runs: 0 };
    let mut smallest = schedule.clone();
    search.quieten(&mut smallest);
    let mut chunk = smallest.steps.len().div_ceil(2);
    while chunk > 0 {
        let before = smallest.steps.len();
        search.drop_chunks(&mut smallest, chunk);
        let is_stuck = smallest.steps.len() == before;
        chunk = if is_stuck { chunk / 2 } else { chunk.min(smallest.steps.len()) };
    }
    search.quieten(&mut smallest);
    smallest
}

struct Search {
    mistake: Option<Mistake>,
    promise: Promise,
    runs: usize,
}

impl Search {
    /// Takes the smaller schedule for the smallest if it breaks the promise too, with its own seed or the next.
    fn takes(&mut self, smallest: &mut Schedule, smaller: &Schedule) -> bool {
        let is_taken = (0..SEEDS).map(|offset| smaller.seed.wrapping_add(offset)).find_map(|seed| {
            let smaller = Schedule { seed, ..smaller.clone() };
            self.breaks(&smaller).then_some(smaller)
        });
        let Some(taken) = is_taken else { return false };
        *smallest = taken;
        true
    }

    fn breaks(&mut self, schedule: &Schedule) -> bool {
        self.runs += 1;
        self.runs <= MOST_RUNS
            && run(schedule, self.mistake, false).violation.is_some_and(|violation| violation.promise == self.promise)
    }

    /// Takes away each noise without which the promise is still broken.
    fn quieten(&mut self, smallest: &mut Schedule) {
        let quieter: [fn(&mut Noise); 6] = [
            |noise| *noise = Noise::default(),
            |noise| noise.inbox_loss = 0,
            |noise| noise.request_loss = 0,
            |noise| noise.spike = 0,
            |noise| noise.commit_unknown = 0,
            |noise| noise.duplicate = 0,
        ];
        for quieten in quieter {
            let mut smaller = smallest.clone();
            quieten(&mut smaller.noise);
            if smaller.noise != smallest.noise {
                self.takes(smallest, &smaller);
            }
        }
    }

    /// Drops each run of `chunk` steps without which the promise is still broken.
    fn drop_chunks(&mut self, smallest: &mut Schedule, chunk: usize) {
        let mut at = 0;
        while at < smallest.steps.len() {
            let kept = |(index, _): &(usize, &Step)| !(at..at + chunk).contains(index);
            let steps = smallest.steps.iter().enumerate().filter(kept).map(|(_, step)| *step).collect();
            let smaller = Schedule { steps, ..smallest.clone() };
            if !self.takes(smallest, &smaller) {
                at += chunk;
            }
        }
    }
}

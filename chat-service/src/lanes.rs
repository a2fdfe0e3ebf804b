//! Lanes: which commands are committed when, and together with which others. Pure: commands, the time and the ends of
//! attempts go in; what to commit now, and when to look again, comes out.
//!
//! All commands of a replica wait in one line. A COMMIT begins at once after quiet; otherwise an interval after the
//! beginning of the last one, with everything that has come meanwhile. So it is nearly always one lane that works. The
//! others are there for what holds one up: a slow COMMIT, a row that somebody else has locked. A match is in one lane
//! at a time, so its commands keep their order.

mod part;
mod progress;
mod reach;
pub mod transaction;
mod waiting;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

pub use part::{Answered, Conclusion, Part, Rest};
pub use progress::Progress;
pub use reach::Reach;
pub use transaction::TripError;
pub use waiting::{BATCH_ROWS, Job, Refused};
pub(crate) use waiting::{MAX_WAITING, MAX_WAITING_KIB};

use crate::{audience::Audience, command::Command};
use waiting::Waiting;

/// While a batch is being committed another lane begins one after so many intervals, or when it would be a full one.
const INTERVALS_BEFORE_ANOTHER_LANE: u32 = 5;
/// Between two attempts that lost to another transaction: up to this long, at random.
const MAX_CONTENTION_PAUSE_MS: u64 = 8;

/// The next step of a lane.
#[derive(Debug)]
pub enum Next<T> {
    /// Try to commit these before the deadline. If there is `more`, another lane should look, too.
    Begin {
        /// The commands that are committed together.
        part: Part<T>,
        /// The earliest of its commands'.
        deadline: Instant,
        /// Whether more is waiting.
        more: bool,
    },
    /// Look again then, or when something changes.
    Wait(Option<Instant>),
    /// No more will come.
    End,
}

/// The lanes of a replica. `T` is whatever belongs to whoever waits for a command.
#[derive(Debug)]
pub struct Lanes<T> {
    interval: Duration,
    waiting: Waiting<T>,
    /// What was tried before, and is tried again.
    again: VecDeque<Part<T>>,
    /// Lanes that work.
    running: usize,
    /// When the last batch was begun.
    begun: Option<Instant>,
    is_closed: bool,
    chance: fastrand::Rng,
}

impl<T> Lanes<T> {
    /// Lanes that begin a batch every `interval` at the most. The seed decides all chances.
    pub fn new(interval: Duration, seed: u64) -> Self {
        Self {
            interval,
            waiting: Waiting::default(),
            again: VecDeque::new(),
            running: 0,
            begun: None,
            is_closed: false,
            chance: fastrand::Rng::with_seed(seed),
        }
    }

    /// Takes a command, with the members of its match as far as they are known. True when an idle lane should look what
    /// is next.
    ///
    /// # Errors
    /// When too much waits, or nothing is taken any more.
    pub fn push(
        &mut self,
        (command, audience): (Box<dyn Command>, Audience),
        ticket: T,
        deadline: Instant,
        now: Instant,
    ) -> Result<bool, Refused> {
        if self.is_closed {
            return Err(Refused::Away);
        }
        let (was_empty, was_full) = (self.waiting.is_empty(), self.waiting.is_full());
        self.waiting.push(Job::new((command, audience), ticket, deadline, now))?;
        Ok((was_empty && !self.waiting.is_empty()) || (!was_full && self.waiting.is_full()))
    }

    /// No more commands come: what waits is committed without a pause.
    pub fn close(&mut self) {
        self.is_closed = true;
    }

    /// What an idle lane does next.
    pub fn next(&mut self, now: Instant) -> Next<T> {
        while let Some(mut part) = self.take_again(now).or_else(|| self.take_batch(now)) {
            if let Some(deadline) = part.drop_expired(now) {
                self.running += 1;
                let more = !self.again.is_empty() || !self.waiting.is_empty();
                return Next::Begin { part, deadline, more };
            }
            self.waiting.release(part.matches());
        }
        let wake = self.again.iter().filter_map(Part::not_before).chain(self.due()).min();
        if wake.is_none() && self.is_closed { Next::End } else { Next::Wait(wake) }
    }

    /// An attempt has ended, and everybody was told: what is left of it is tried again, its other matches are free.
    pub fn done(&mut self, rest: Rest<T>, now: Instant) {
        self.running -= 1;
        self.waiting.release(&rest.free);
        for mut part in rest.parts {
            if rest.is_contended {
                part.wait_until(now + Duration::from_millis(self.chance.u64(1..=MAX_CONTENTION_PAUSE_MS)));
            }
            self.again.push_back(part);
        }
    }

    fn take_again(&mut self, now: Instant) -> Option<Part<T>> {
        let is_due = |part: &Part<T>| part.not_before().is_none_or(|at| at <= now);
        let index = self.again.iter().position(is_due)?;
        self.again.remove(index)
    }

    fn take_batch(&mut self, now: Instant) -> Option<Part<T>> {
        self.due().filter(|at| *at <= now)?;
        self.begun = Some(now);
        Some(Part::first(self.waiting.take(now)))
    }

    /// When the next batch may begin; `None` when there is none. A time that has passed stands for "at once".
    fn due(&self) -> Option<Instant> {
        let oldest = self.waiting.oldest()?;
        let Some(begun) = self.begun.filter(|_| !self.is_closed && !self.waiting.is_full()) else {
            return Some(oldest);
        };
        let intervals = if self.running == 0 { 1 } else { INTERVALS_BEFORE_ANOTHER_LANE };
        Some(begun + self.interval * intervals)
    }
}

#[cfg(test)]
mod tests;

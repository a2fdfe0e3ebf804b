//! What was checked of each promise, and what was found broken.

use std::{fmt, time::Duration};

use crate::promise::Promise;

/// How many violations of one promise are kept with their trace; more are only counted.
const KEPT: usize = 5;

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub promise: Promise,
    /// When it was seen, since the crowd's origin.
    pub at: Duration,
    /// Where: a match, or a client.
    pub scene: String,
    /// What is wrong.
    pub what: String,
    /// The few observations concerned, oldest first.
    pub trace: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} · {:.3} s · {}: {}", self.promise.name(), self.at.as_secs_f64(), self.scene, self.what)?;
        self.trace.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}

/// Counts of one promise.
#[derive(Debug, Clone, Default)]
pub struct Count {
    /// How often it was put to the test.
    pub checked: u64,
    /// How often it was not kept.
    pub violations: u64,
    /// The first few of these.
    pub kept: Vec<Violation>,
}

/// Counts of all promises.
#[derive(Debug, Clone, Default)]
pub struct Tally([Count; Promise::ALL.len()]);

impl Tally {
    /// The counts of a promise.
    pub fn of(&self, promise: Promise) -> &Count {
        &self.0[promise as usize]
    }

    /// A promise was put to the test so many times.
    pub fn checked(&mut self, promise: Promise, times: u64) {
        self.0[promise as usize].checked += times;
    }

    /// A promise was not kept.
    pub fn violated(&mut self, violation: Violation) {
        let count = &mut self.0[violation.promise as usize];
        count.violations += 1;
        if count.kept.len() < KEPT {
            count.kept.push(violation);
        }
    }

    /// Adds what another has counted.
    pub fn merge(&mut self, other: Self) {
        for (count, added) in self.0.iter_mut().zip(other.0) {
            count.checked += added.checked;
            count.violations += added.violations;
            let room = KEPT.saturating_sub(count.kept.len());
            count.kept.extend(added.kept.into_iter().take(room));
        }
    }

    /// The first few violations of each promise.
    pub fn kept(&self) -> impl Iterator<Item = &Violation> {
        self.0.iter().flat_map(|count| &count.kept)
    }

    /// How often any promise was not kept.
    pub fn violations(&self) -> u64 {
        self.0.iter().map(|count| count.violations).sum()
    }
}

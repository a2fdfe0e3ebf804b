//! One bucket per key, e.g. per user, shared by all that the key does on this gateway.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{Bucket, Rate};

/// Below this number of buckets nobody looks for idle ones.
const SWEEP_FROM: usize = 1024;

/// A rate for each of any number of keys, which gives those whom it refuses turns: each is told to come back one token later
/// than the one before, so that those who waited do not meet again, and all but one in vain. Full buckets vanish, so its memory is
/// bounded by the keys of the last burst/rate seconds.
#[derive(Debug)]
pub struct Limiter {
    rate: Rate,
    buckets: Mutex<Buckets>,
}

#[derive(Debug)]
struct Buckets {
    by_key: HashMap<Box<str>, Account>,
    /// The number of buckets at which idle ones are dropped: twice what was left the last time, so that sweeping costs a
    /// constant per request.
    sweep_at: usize,
}

/// A bucket, and when those are to come back who found it empty.
#[derive(Debug, Clone, Copy)]
struct Account {
    bucket: Bucket,
    /// The last turn that was given.
    last: Instant,
}

impl Account {
    fn new(now: Instant) -> Self {
        Self { bucket: Bucket::full(now), last: now }
    }

    /// Takes one token at `now`; without one, says how long until the next turn that nobody was given. Turns reach as far as
    /// the tokens of a full bucket: who is refused still more often meets others in the last one.
    fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        self.bucket.take(rate, now).map_err(|wait| {
            let first = now + wait;
            let last = first + rate.interval() * (rate.burst.get() - 1);
            self.last = (self.last + rate.interval()).clamp(first, last);
            self.last.saturating_duration_since(now)
        })
    }
}

impl Limiter {
    /// A limiter in which every key may `rate`.
    pub fn new(rate: Rate) -> Self {
        Self { rate, buckets: Mutex::new(Buckets { by_key: HashMap::new(), sweep_at: SWEEP_FROM }) }
    }

    /// Takes one of the key's tokens at `now`; without one, says how long until it is this one's turn.
    pub fn take(&self, key: &str, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = buckets.by_key.get_mut(key) {
            return account.take(self.rate, now);
        }
        buckets.sweep(now);
        let mut account = Account::new(now);
        let taken = account.take(self.rate, now);
        buckets.by_key.insert(key.into(), account);
        taken
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.buckets.lock().unwrap().by_key.len()
    }
}

impl Buckets {
    fn sweep(&mut self, now: Instant) {
        if self.by_key.len() >= self.sweep_at {
            self.by_key.retain(|_, account| !account.bucket.is_full(now));
            self.sweep_at = SWEEP_FROM.max(self.by_key.len() * 2);
            self.by_key.shrink_to(self.sweep_at);
        }
    }
}

//! One bucket per key, e.g. per user, shared by all that the key does on this gateway.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{Bucket, Rate};

/// Below this number of buckets nobody looks for idle ones.
const SWEEP_FROM: usize = 1024;

/// A rate for each of any number of keys. Full buckets vanish, so its memory is bounded by the keys of the last
/// burst/rate seconds.
#[derive(Debug)]
pub struct Limiter {
    rate: Rate,
    buckets: Mutex<Buckets>,
}

#[derive(Debug)]
struct Buckets {
    by_key: HashMap<Box<str>, Bucket>,
    /// The number of buckets at which idle ones are dropped: twice what was left the last time, so that sweeping costs a
    /// constant per request.
    sweep_at: usize,
}

impl Limiter {
    /// A limiter in which every key may `rate`.
    pub fn new(rate: Rate) -> Self {
        Self { rate, buckets: Mutex::new(Buckets { by_key: HashMap::new(), sweep_at: SWEEP_FROM }) }
    }

    /// Takes one of the key's tokens at `now`; without one, says how long until there is one again.
    pub fn take(&self, key: &str, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.by_key.get_mut(key) {
            return bucket.take(self.rate, now);
        }
        buckets.sweep(now);
        let mut bucket = Bucket::full(now);
        let taken = bucket.take(self.rate, now);
        buckets.by_key.insert(key.into(), bucket);
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
            self.by_key.retain(|_, bucket| !bucket.is_full(now));
            self.sweep_at = SWEEP_FROM.max(self.by_key.len() * 2);
            self.by_key.shrink_to(self.sweep_at);
        }
    }
}

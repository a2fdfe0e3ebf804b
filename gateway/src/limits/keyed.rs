//! One bucket per key, e.g. per user, shared by all that the key does on this gateway.

use std::{
    array,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use proto::partition::fnv1a;
use service_kit::rate::{self, Accounts, Bucket, Rate};

/// Parts with a lock of their own, so that looking for idle buckets holds up only a few keys.
const SHARDS: usize = 16;
/// Below this number of buckets in a shard nobody looks for idle ones.
const SWEEP_FROM: usize = 64;

/// A rate for each of any number of keys, which gives those whom it refuses turns: each is told to come back one token
/// later than the one before, so that those who waited do not meet again, and all but one in vain. Full buckets vanish,
/// so its memory is bounded by the keys of the last burst/rate seconds.
#[derive(Debug)]
pub struct Limiter {
    rate: Rate,
    shards: [Mutex<Shard>; SHARDS],
}

type Shard = Accounts<String, Account>;

/// A bucket, and when those are to come back who found it empty.
#[derive(Debug, Clone, Copy)]
struct Account {
    bucket: Bucket,
    /// The last turn that was given.
    last: Instant,
}

impl rate::Account for Account {
    fn new(now: Instant) -> Self {
        Self { bucket: Bucket::full(now), last: now }
    }

    fn is_idle(&self, now: Instant) -> bool {
        self.bucket.is_full(now)
    }
}

impl Account {
    /// Takes one token at `now`; without one, says how long until the next turn that nobody was given. Turns reach as
    /// far as the tokens of a full bucket: who is refused still more often meets others in the last one.
    fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        self.bucket.take(rate.interval(), rate.fill(), now).map_err(|wait| {
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
        Self { rate, shards: array::from_fn(|_| Mutex::new(Accounts::new(SWEEP_FROM))) }
    }

    /// Takes one of the key's tokens at `now`; without one, says how long until it is this one's turn.
    pub fn take(&self, key: &str, now: Instant) -> Result<(), Duration> {
        self.shard(key).with(key, now, |account| account.take(self.rate, now))
    }

    /// How long until the key has a token, if it has none at `now`.
    pub fn wait(&self, key: &str, now: Instant) -> Option<Duration> {
        self.shard(key).get(key)?.bucket.wait(self.rate.interval(), self.rate.fill(), now)
    }

    /// Takes `amount` of the key's tokens at `now`, also those that are not there yet.
    pub fn spend(&self, key: &str, amount: u32, now: Instant) {
        if amount > 0 {
            self.shard(key).with(key, now, |account| account.bucket.spend(self.rate.interval() * amount, now));
        }
    }

    fn shard(&self, key: &str) -> MutexGuard<'_, Shard> {
        let index = usize::try_from(fnv1a(key.as_bytes()) % SHARDS as u64).unwrap_or_default();
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }
}

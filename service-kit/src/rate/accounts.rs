//! Accounts by key in bounded memory: the table drops those that are idle.

use std::{borrow::Borrow, collections::HashMap, hash::Hash, time::Instant};

use super::Bucket;

/// What somebody has used of a limit.
pub trait Account {
    /// The account of somebody who has used nothing.
    fn new(now: Instant) -> Self;

    /// Whether it is no different from a new one.
    fn is_idle(&self, now: Instant) -> bool;
}

impl Account for Bucket {
    fn new(now: Instant) -> Self {
        Self::full(now)
    }

    fn is_idle(&self, now: Instant) -> bool {
        self.is_full(now)
    }
}

/// Accounts by key. Its memory is bounded by the keys that are not idle.
#[derive(Debug)]
pub struct Accounts<K, A> {
    by_key: HashMap<K, A>,
    sweep_from: usize,
    /// The number of accounts at which idle ones are dropped: twice what was left the last time, so that sweeping costs
    /// a constant per request.
    sweep_at: usize,
}

impl<K: Eq + Hash, A: Account> Accounts<K, A> {
    /// No accounts. Below `sweep_from` of them nobody looks for idle ones.
    pub fn new(sweep_from: usize) -> Self {
        Self { by_key: HashMap::new(), sweep_from, sweep_at: sweep_from }
    }

    /// The account of a key, if it has one.
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&A>
    where
        K: Borrow<Q>,
    {
        self.by_key.get(key)
    }

    /// Does something with the account of a key. Only a new key allocates.
    pub fn with<Q, T>(&mut self, key: &Q, now: Instant, act: impl FnOnce(&mut A) -> T) -> T
    where
        K: Borrow<Q>,
        Q: ToOwned<Owned = K> + Eq + Hash + ?Sized,
    {
        if let Some(account) = self.by_key.get_mut(key) {
            return act(account);
        }
        self.sweep(now);
        act(self.by_key.entry(key.to_owned()).or_insert_with(|| A::new(now)))
    }

    fn sweep(&mut self, now: Instant) {
        if self.by_key.len() >= self.sweep_at {
            self.by_key.retain(|_, account| !account.is_idle(now));
            self.sweep_at = self.sweep_from.max(self.by_key.len() * 2);
            self.by_key.shrink_to(self.sweep_at);
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn accounts_that_are_idle_are_dropped_and_others_are_kept() {
        let (mut accounts, start) = (Accounts::<u32, Bucket>::new(64), Instant::now());
        let hour = Duration::from_hours(1);
        accounts.with(&0, start, |bucket| bucket.spend(hour, start));
        for key in 1..100_000 {
            let now = start + Duration::from_millis(u64::from(key));
            accounts.with(&key, now, |bucket| bucket.spend(Duration::from_millis(10), now));
            assert!(accounts.len() <= 65, "{} accounts", accounts.len());
        }
        assert!(accounts.get(&0).is_some_and(|bucket| !bucket.is_full(start + hour / 2)));
    }
}

//! All open sessions by their id.

use super::sid::Sid;
use std::{
    borrow::Borrow,
    collections::HashSet,
    hash::{Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Parts with a lock of their own, so that connections rarely wait for each other.
const SHARDS: usize = 16;

/// All open sessions by their id; one pointer a session.
#[derive(Debug)]
pub(super) struct Registry<S> {
    shards: [Mutex<HashSet<BySid<S>>>; SHARDS],
}

/// A session that is found by its id.
#[derive(Debug)]
struct BySid<S>(Arc<S>);

impl<S: AsRef<Sid>> BySid<S> {
    fn sid(&self) -> &Sid {
        S::as_ref(&self.0)
    }
}

impl<S: AsRef<Sid>> Borrow<[u8]> for BySid<S> {
    fn borrow(&self) -> &[u8] {
        self.sid().borrow()
    }
}

impl<S: AsRef<Sid>> Hash for BySid<S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Borrow::<[u8]>::borrow(self).hash(state);
    }
}

impl<S: AsRef<Sid>> PartialEq for BySid<S> {
    fn eq(&self, other: &Self) -> bool {
        self.sid() == other.sid()
    }
}

impl<S: AsRef<Sid>> Eq for BySid<S> {}

impl<S> Registry<S> {
    pub(super) fn new() -> Self {
        Self { shards: Default::default() }
    }
}

impl<S: AsRef<Sid>> Registry<S> {
    pub(super) fn insert(&self, session: Arc<S>) {
        let session = BySid(session);
        self.shard(session.sid().borrow()).insert(session);
    }

    pub(super) fn get(&self, sid: &str) -> Option<Arc<S>> {
        self.shard(sid.as_bytes()).get(sid.as_bytes()).map(|found| Arc::clone(&found.0))
    }

    pub(super) fn remove(&self, sid: &Sid) {
        let sid: &[u8] = sid.borrow();
        let mut shard = self.shard(sid);
        shard.remove(sid);
        // A wave of connections leaves no table behind.
        if shard.capacity() > 64 && shard.len() < shard.capacity() / 8 {
            shard.shrink_to_fit();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// All sessions at this moment.
    pub(super) fn all(&self) -> Vec<Arc<S>> {
        let sessions = |shard| lock(shard).iter().map(|found| Arc::clone(&found.0)).collect::<Vec<_>>();
        self.shards.iter().flat_map(sessions).collect()
    }

    /// The ids are random, so any byte spreads them; the last one also does if they get a common beginning.
    fn shard(&self, sid: &[u8]) -> MutexGuard<'_, HashSet<BySid<S>>> {
        let index = usize::from(sid.last().copied().unwrap_or_default()) % SHARDS;
        lock(&self.shards[index])
    }
}

fn lock<S>(shard: &Mutex<HashSet<BySid<S>>>) -> MutexGuard<'_, HashSet<BySid<S>>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

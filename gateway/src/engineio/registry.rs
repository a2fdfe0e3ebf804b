//! All open sessions by their id.

use super::{session::Session, sid::Sid};
use std::{
    borrow::Borrow,
    collections::HashSet,
    hash::{Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Parts with a lock of their own, so that connections rarely wait for each other.
const SHARDS: usize = 16;

/// All open sessions by their id; one pointer a session.
#[derive(Debug, Default)]
pub(super) struct Registry {
    shards: [Mutex<HashSet<BySid>>; SHARDS],
}

/// A session that is found by its id.
#[derive(Debug)]
struct BySid(Arc<Session>);

impl Borrow<[u8]> for BySid {
    fn borrow(&self) -> &[u8] {
        self.0.sid.borrow()
    }
}

impl Hash for BySid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Borrow::<[u8]>::borrow(self).hash(state);
    }
}

impl PartialEq for BySid {
    fn eq(&self, other: &Self) -> bool {
        self.0.sid == other.0.sid
    }
}

impl Eq for BySid {}

impl Registry {
    pub(super) fn insert(&self, session: Arc<Session>) {
        self.shard(session.sid.borrow()).insert(BySid(session));
    }

    pub(super) fn get(&self, sid: &str) -> Option<Arc<Session>> {
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
    pub(super) fn all(&self) -> Vec<Arc<Session>> {
        let sessions = |shard| lock(shard).iter().map(|found| Arc::clone(&found.0)).collect::<Vec<_>>();
        self.shards.iter().flat_map(sessions).collect()
    }

    /// The ids are random, so any byte spreads them; the last one also does if they get a common beginning.
    fn shard(&self, sid: &[u8]) -> MutexGuard<'_, HashSet<BySid>> {
        let index = usize::from(sid.last().copied().unwrap_or_default()) % SHARDS;
        lock(&self.shards[index])
    }
}

fn lock(shard: &Mutex<HashSet<BySid>>) -> MutexGuard<'_, HashSet<BySid>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

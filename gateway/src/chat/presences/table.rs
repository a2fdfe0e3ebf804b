//! The users whom sockets here watch: what is known of each, and whose sockets watch.

use std::{
    array,
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use gateway_core::watched::Watched;
use proto::{UserId, partition::fnv1a};

use crate::{chat::users::User, inboxes::Inboxes, metrics};

/// Parts of the table with a lock of their own. One round asks about the users of one part after the other.
pub(in crate::chat) const SHARDS: usize = 64;
/// After so many rounds it is asked again who may see a user: an event that told of a change may have been lost.
const ROUNDS_UNTIL_JUDGED: u8 = 20;
/// Most watched users of a part. Of more nothing is known: their presence is `null`.
const MAX_OF_SHARD: usize = 4_096;

/// A watched user.
#[derive(Debug)]
pub(in crate::chat) struct Entry {
    /// The number of the subscription.
    sid: u64,
    pub(in crate::chat) watched: Watched,
    /// Whose sockets watch. Mostly one, who needs no list.
    first: Option<Arc<User>>,
    #[expect(clippy::box_collection, reason = "a vector itself is three words")]
    more: Option<Box<Vec<Arc<User>>>>,
    /// Somebody was about to watch since the last round.
    is_fresh: bool,
    /// The rounds until it is asked again who may see the user.
    rounds_left: u8,
}

impl Entry {
    fn watchers(&self) -> impl Iterator<Item = &Arc<User>> {
        self.first.iter().chain(self.more.iter().flat_map(|more| more.iter()))
    }
}

/// All of them. The entries are boxed, as half of a table's places are empty.
#[derive(Debug)]
pub(in crate::chat) struct Table {
    shards: [Mutex<HashMap<UserId, Box<Entry>>>; SHARDS],
    inboxes: Inboxes,
}

impl Table {
    pub(in crate::chat) fn new(inboxes: Inboxes) -> Self {
        Self { shards: array::from_fn(|_| Mutex::default()), inboxes }
    }

    fn shard(&self, of: &UserId) -> MutexGuard<'_, HashMap<UserId, Box<Entry>>> {
        let index = usize::try_from(fnv1a(of.as_str().as_bytes()) % SHARDS as u64).unwrap_or_default();
        self.part(index)
    }

    fn part(&self, index: usize) -> MutexGuard<'_, HashMap<UserId, Box<Entry>>> {
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody is about to watch a user: from now on it is heard of that one. Returns the number of the subscription;
    /// `None` if too many are watched.
    pub(in crate::chat) fn enter(&self, of: &UserId) -> Option<u64> {
        let mut shard = self.shard(of);
        self.entry(&mut shard, of, None).map(|entry| entry.sid)
    }

    fn entry<'a>(
        &self,
        shard: &'a mut HashMap<UserId, Box<Entry>>,
        of: &UserId,
        told: Option<bool>,
    ) -> Option<&'a mut Entry> {
        if !shard.contains_key(of) {
            if shard.len() >= MAX_OF_SHARD {
                return None;
            }
            let (sid, watched) = (self.inboxes.watch(of), Watched::new(told));
            let rounds_left = fastrand::u8(1..=ROUNDS_UNTIL_JUDGED);
            let entry = Entry { sid, watched, first: None, more: None, is_fresh: true, rounds_left };
            shard.insert(of.clone(), Box::new(entry));
            metrics::watched_users(1);
        }
        let entry = shard.get_mut(of)?;
        entry.is_fresh = true;
        Some(entry)
    }

    /// A user's sockets watch another one, of whom they were told this. Returns what is known if it is something else.
    pub(in crate::chat) fn watch(&self, of: &UserId, watcher: &Arc<User>, told: Option<bool>) -> Option<bool> {
        let mut shard = self.shard(of);
        let entry = self.entry(&mut shard, of, told)?;
        if !entry.watchers().any(|known| Arc::ptr_eq(known, watcher)) {
            match &mut entry.first {
                None => entry.first = Some(Arc::clone(watcher)),
                Some(_) => entry.more.get_or_insert_default().push(Arc::clone(watcher)),
            }
        }
        entry.watched.online().filter(|online| told != Some(*online))
    }

    /// A user's sockets do not watch another one any more.
    pub(in crate::chat) fn unwatch(&self, of: &UserId, watcher: &Arc<User>) {
        if let Some(entry) = self.shard(of).get_mut(of) {
            entry.first.take_if(|known| Arc::ptr_eq(known, watcher));
            if let Some(more) = &mut entry.more {
                more.retain(|known| !Arc::ptr_eq(known, watcher));
            }
            entry.more.take_if(|more| more.is_empty());
        }
    }

    /// Changes what is known of a user. `None` if nobody watches that one.
    pub(in crate::chat) fn with<T>(&self, of: &UserId, change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        self.shard(of).get_mut(of).map(|entry| change(entry))
    }

    /// Whether a user is online, if that is known.
    pub(in crate::chat) fn online(&self, of: &UserId) -> Option<bool> {
        self.with(of, |entry| entry.watched.online()).flatten()
    }

    /// Whose sockets watch a user.
    pub(in crate::chat) fn watchers(&self, of: &UserId) -> Vec<Arc<User>> {
        self.with(of, |entry| entry.watchers().cloned().collect()).unwrap_or_default()
    }

    /// The users of one part.
    pub(in crate::chat) fn users(&self, part: usize) -> Vec<UserId> {
        self.part(part).keys().cloned().collect()
    }

    /// A round has come to a user. True if it is to be asked again who may see that one.
    pub(in crate::chat) fn is_to_be_judged(&self, of: &UserId) -> bool {
        let is_due = self.with(of, |entry| {
            entry.rounds_left = entry.rounds_left.saturating_sub(1);
            let is_due = entry.rounds_left == 0;
            if is_due {
                entry.rounds_left = ROUNDS_UNTIL_JUDGED;
            }
            is_due
        });
        is_due == Some(true)
    }

    /// Forgets a user whom nobody has watched for a round. True if so.
    pub(in crate::chat) fn tidy(&self, of: &UserId) -> bool {
        let mut shard = self.shard(of);
        let Some(entry) = shard.get_mut(of) else { return true };
        let is_watched = entry.watchers().next().is_some() || std::mem::take(&mut entry.is_fresh);
        if is_watched {
            return false;
        }
        let sid = entry.sid;
        shard.remove(of);
        if shard.len() < shard.capacity() / 8 {
            shard.shrink_to_fit();
        }
        metrics::watched_users(-1);
        self.inboxes.unsubscribe(of, sid);
        true
    }

    /// Visits each user with the number of the subscription.
    pub(in crate::chat) fn each(&self, visit: &mut dyn FnMut(&UserId, u64)) {
        for part in 0..SHARDS {
            self.part(part).iter().for_each(|(of, entry)| visit(of, entry.sid));
        }
    }
}

//! Who is connected here: one entry and one inbox subscription per user, however many sockets.

use std::{
    array,
    borrow::Borrow,
    collections::HashSet,
    hash::{Hash, Hasher},
    num::NonZeroU32,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
};

use proto::{UserId, chat::Revocation, partition::fnv1a};

use super::{Socket, memory::Memory};
use crate::{inboxes::Inboxes, socketio::Packet};

/// Parts of the table with a lock of their own: a walk over all users holds up only those of one part at a time.
const SHARDS: usize = 64;
/// A part with more room than this, most of it empty, gives it back: a wave of users leaves no table behind.
const LARGE_SHARD: usize = 64;

/// The users with a socket on this gateway. Their inboxes are subscribed as long as they are here.
#[derive(Debug)]
pub struct Users {
    shards: [Mutex<HashSet<ById>>; SHARDS],
    inboxes: Inboxes,
}

/// A user that is found by its id: one pointer, as the table is as long as there are users.
#[derive(Debug)]
struct ById(Arc<User>);

impl Borrow<str> for ById {
    fn borrow(&self) -> &str {
        self.0.id.as_str()
    }
}

impl Hash for ById {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.as_str().hash(state);
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for ById {}

/// A user with at least one socket here.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) id: UserId,
    /// The number of the inbox's subscription.
    pub(crate) sid: u64,
    heard: AtomicU64,
    /// Changes only while the user's shard is locked; never from none to some again.
    presences: AtomicU32,
    /// Presences that count towards the user's limit of sockets.
    seats: AtomicU32,
    sockets: Mutex<Vec<Arc<Socket>>>,
    memory: Mutex<Memory>,
}

/// Keeps a user's entry alive; when the last one is dropped, the inbox subscription ends.
#[derive(Debug)]
pub(crate) struct Presence {
    users: Arc<Users>,
    user: Arc<User>,
    has_seat: AtomicBool,
}

impl Users {
    /// Nobody is here yet.
    pub fn new(inboxes: Inboxes) -> Self {
        Self { shards: array::from_fn(|_| Mutex::default()), inboxes }
    }

    fn shard(&self, id: &str) -> MutexGuard<'_, HashSet<ById>> {
        let index = usize::try_from(fnv1a(id.as_bytes()) % SHARDS as u64).unwrap_or_default();
        lock(&self.shards[index])
    }

    /// Enters a user.
    pub(crate) fn enter(self: &Arc<Self>, id: UserId) -> Presence {
        let mut users = self.shard(id.as_str());
        let known = users.get(id.as_str()).map(|ById(user)| Arc::clone(user));
        let user = known.unwrap_or_else(|| {
            let sid = self.inboxes.subscribe(&id);
            Arc::new(User::new(id, sid))
        });
        if user.presences.fetch_add(1, Ordering::SeqCst) == 0 {
            users.insert(ById(Arc::clone(&user)));
        }
        Presence { users: Arc::clone(self), user, has_seat: AtomicBool::new(false) }
    }

    /// The user with this id, if connected here.
    pub(crate) fn get(&self, id: &str) -> Option<Arc<User>> {
        self.shard(id).get(id).map(|ById(user)| Arc::clone(user))
    }

    /// Closes the transports of a revoked user: of all sockets that were here when it was revoked, and of those that have come since
    /// with a token that is refused. Who has signed in again since then stays.
    pub fn cut(&self, id: &UserId, revocation: &Revocation) {
        let sockets = self.get(id.as_str()).map(|user| user.sockets()).unwrap_or_default();
        let is_cut = |socket: &&Arc<Socket>| {
            socket.token().issued_at_ms < revocation.not_before_ms || socket.was_connected(revocation.changed_ms)
        };
        for socket in sockets.iter().filter(is_cut) {
            socket.emitter.disconnect_transport();
        }
    }

    /// Tells every socket here.
    pub fn tell_all(&self, packet: &Packet) {
        for socket in self.parts().flatten().flat_map(|user| user.sockets()) {
            // One that is closed already needs no telling.
            let _ = socket.emitter.send(packet);
        }
    }

    /// Visits all users connected here. Who comes or goes meanwhile may be visited or not.
    pub(crate) fn each(&self, mut visit: impl FnMut(&User)) {
        for user in self.parts().flatten() {
            visit(&user);
        }
    }

    /// All users connected here, part by part. No lock is held while a part is looked at.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Vec<Arc<User>>> {
        self.shards.iter().map(|shard| lock(shard).iter().map(|ById(user)| Arc::clone(user)).collect())
    }
}

fn lock(shard: &Mutex<HashSet<ById>>) -> MutexGuard<'_, HashSet<ById>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl User {
    fn new(id: UserId, sid: u64) -> Self {
        Self {
            id,
            sid,
            heard: AtomicU64::new(0),
            presences: AtomicU32::new(0),
            seats: AtomicU32::new(0),
            sockets: Mutex::default(),
            memory: Mutex::default(),
        }
    }

    /// How many events the inbox has had. A socket that is [added](Self::add) hears all that are not counted yet.
    pub(crate) fn heard(&self) -> u64 {
        self.heard.load(Ordering::SeqCst)
    }

    /// An event has come; to be said before it is given to the sockets.
    pub(crate) fn hears(&self) {
        self.heard.fetch_add(1, Ordering::SeqCst);
    }

    /// What is remembered of what was heard.
    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_sockets(&self) -> MutexGuard<'_, Vec<Arc<Socket>>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The user's sockets.
    pub(crate) fn sockets(&self) -> Vec<Arc<Socket>> {
        self.lock_sockets().clone()
    }

    /// From now on the socket hears what the user hears.
    pub(crate) fn add(&self, socket: &Arc<Socket>) {
        let mut sockets = self.lock_sockets();
        // Mostly the only one.
        sockets.reserve_exact(1);
        sockets.push(Arc::clone(socket));
    }

    /// The socket is gone. False if it had not been added.
    pub(crate) fn remove(&self, socket: &Arc<Socket>) -> bool {
        let mut sockets = self.lock_sockets();
        let before = sockets.len();
        sockets.retain(|other| !Arc::ptr_eq(other, socket));
        sockets.shrink_to_fit();
        sockets.len() < before
    }
}

impl Presence {
    pub(crate) fn user_id(&self) -> &UserId {
        &self.user.id
    }

    pub(crate) fn user(&self) -> &Arc<User> {
        &self.user
    }

    /// Takes one of at most `max` seats of the user. False if none is free.
    pub(crate) fn take_seat(&self, max: NonZeroU32) -> bool {
        let free = |seats: u32| (seats < max.get()).then(|| seats + 1);
        let taken = self.user.seats.fetch_update(Ordering::SeqCst, Ordering::SeqCst, free).is_ok();
        taken && !self.has_seat.swap(true, Ordering::SeqCst)
    }

    /// Takes over the seat of another presence of the same user. False if that has none (any more).
    pub(crate) fn take_seat_of(&self, other: &Self) -> bool {
        other.has_seat.swap(false, Ordering::SeqCst) && !self.has_seat.swap(true, Ordering::SeqCst)
    }

    /// Gives the seat back, if there is one.
    pub(crate) fn leave_seat(&self) {
        if self.has_seat.swap(false, Ordering::SeqCst) {
            self.user.seats.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.leave_seat();
        let mut users = self.users.shard(self.user.id.as_str());
        if self.user.presences.fetch_sub(1, Ordering::SeqCst) == 1 {
            users.remove(self.user.id.as_str());
            if users.capacity() > LARGE_SHARD && users.len() < users.capacity() / 8 {
                users.shrink_to_fit();
            }
            self.users.inboxes.unsubscribe(&self.user.id, self.user.sid);
        }
    }
}

#[cfg(test)]
mod tests;

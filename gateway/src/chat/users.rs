//! Who is connected here: one entry and one inbox subscription per user, however many sockets.

use std::{
    array,
    borrow::Borrow,
    collections::HashSet,
    hash::{Hash, Hasher},
    num::NonZeroU32,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use proto::{UserId, chat::Revocation, partition::fnv1a};

use gateway_core::{Arrival, SocketId};

use crate::{egress::Admitted, inboxes::Inboxes, socketio::Emitter};

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
    /// Changes only while the user's shard is locked; never from none to some again.
    stays: AtomicU32,
    /// Stays that count towards the user's limit of sockets.
    seats: AtomicU32,
    state: Mutex<State>,
}

/// What changes with each input.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(super) core: gateway_core::User<Admitted>,
    /// The sockets of which the core knows, or is about to.
    pub(super) sockets: Vec<Arc<Socket>>,
}

/// One connected socket, to be emitted to.
#[derive(Debug)]
pub struct Socket {
    pub(super) id: SocketId,
    pub(super) emitter: Emitter,
    pub(super) stay: Stay,
    /// What the core is given once the client knows that it is connected.
    arrival: Mutex<Option<Box<Arrival>>>,
}

/// Keeps a user's entry alive; when the last one is dropped, the inbox subscription ends.
#[derive(Debug)]
pub(crate) struct Stay {
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
    pub(crate) fn enter(self: &Arc<Self>, id: UserId) -> Stay {
        let mut users = self.shard(id.as_str());
        let known = users.get(id.as_str()).map(|ById(user)| Arc::clone(user));
        let user = known.unwrap_or_else(|| {
            let sid = self.inboxes.subscribe(&id);
            Arc::new(User::new(id, sid))
        });
        if user.stays.fetch_add(1, Ordering::SeqCst) == 0 {
            users.insert(ById(Arc::clone(&user)));
        }
        Stay { users: Arc::clone(self), user, has_seat: AtomicBool::new(false) }
    }

    /// The user with this id, if connected here.
    pub(crate) fn get(&self, id: &str) -> Option<Arc<User>> {
        self.shard(id).get(id).map(|ById(user)| Arc::clone(user))
    }

    /// Closes the transports of a revoked user: of all sockets that were here when it was revoked, and of those that
    /// have come since with a token that is refused. Who has signed in again since then stays.
    pub fn cut(&self, id: &UserId, revocation: &Revocation) {
        let Some(user) = self.get(id.as_str()) else { return };
        let state = user.state();
        for ended in state.core.ended_by(revocation) {
            if let Some(socket) = state.sockets.iter().find(|socket| socket.id == ended) {
                socket.emitter.disconnect_transport();
            }
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
        Self { id, sid, stays: AtomicU32::new(0), seats: AtomicU32::new(0), state: Mutex::default() }
    }

    /// The user's core and its sockets. A panic while they were locked was one of the shell's: the core contains its
    /// own.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the core may emit to the socket.
    pub(crate) fn add(&self, socket: &Arc<Socket>) {
        let sockets = &mut self.state().sockets;
        // Mostly the only one.
        sockets.reserve_exact(1);
        sockets.push(Arc::clone(socket));
    }

    /// The socket is gone.
    pub(crate) fn remove(&self, socket: &Arc<Socket>) {
        let sockets = &mut self.state().sockets;
        sockets.retain(|other| !Arc::ptr_eq(other, socket));
        sockets.shrink_to_fit();
    }
}

impl Socket {
    pub(super) fn new(emitter: Emitter, stay: Stay, arrival: Arrival) -> Arc<Self> {
        let (id, arrival) = (arrival.id(), Mutex::new(Some(Box::new(arrival))));
        Arc::new(Self { id, emitter, stay, arrival })
    }

    pub(super) fn user(&self) -> &Arc<User> {
        &self.stay.user
    }

    /// What the core is to be given, once.
    pub(super) fn arrival(&self) -> Option<Box<Arrival>> {
        self.arrival.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Stay {
    pub(crate) fn user(&self) -> &Arc<User> {
        &self.user
    }

    /// Takes one of at most `max` seats of the user. False if none is free.
    pub(crate) fn take_seat(&self, max: NonZeroU32) -> bool {
        let free = |seats: u32| (seats < max.get()).then(|| seats + 1);
        let taken = self.user.seats.fetch_update(Ordering::SeqCst, Ordering::SeqCst, free).is_ok();
        taken && !self.has_seat.swap(true, Ordering::SeqCst)
    }

    /// Takes over the seat of another stay of the same user. False if that has none (any more).
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

impl Drop for Stay {
    fn drop(&mut self) {
        self.leave_seat();
        let mut users = self.users.shard(self.user.id.as_str());
        if self.user.stays.fetch_sub(1, Ordering::SeqCst) == 1 {
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

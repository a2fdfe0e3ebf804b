//! Who is connected here: one entry and one inbox subscription per user, however many sockets.

use std::{
    borrow::Borrow,
    collections::HashSet,
    hash::{Hash, Hasher},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use proto::UserId;

use super::{Socket, memory::Memory};
use crate::{inboxes::Inboxes, socketio::Packet};

/// The users with a socket on this gateway. Their inboxes are subscribed as long as they are here.
#[derive(Debug)]
pub struct Users {
    table: Mutex<HashSet<ById>>,
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
    /// Changes only while [`Users`] is locked; never from none to some again.
    presences: AtomicUsize,
    sockets: Mutex<Vec<Arc<Socket>>>,
    memory: Mutex<Memory>,
}

/// Keeps a user's entry alive; when the last one is dropped, the inbox subscription ends.
#[derive(Debug)]
pub(crate) struct Presence {
    users: Arc<Users>,
    user: Arc<User>,
}

impl Users {
    /// Nobody is here yet.
    pub fn new(inboxes: Inboxes) -> Self {
        Self { table: Mutex::default(), inboxes }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<ById>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a user.
    pub(crate) fn enter(self: &Arc<Self>, id: UserId) -> Presence {
        let mut users = self.lock();
        let known = users.get(id.as_str()).map(|ById(user)| Arc::clone(user));
        let user = known.unwrap_or_else(|| {
            let sid = self.inboxes.subscribe(&id);
            Arc::new(User::new(id, sid))
        });
        if user.presences.fetch_add(1, Ordering::SeqCst) == 0 {
            users.insert(ById(Arc::clone(&user)));
        }
        Presence { users: Arc::clone(self), user }
    }

    /// The user with this id, if connected here.
    pub(crate) fn get(&self, id: &str) -> Option<Arc<User>> {
        self.lock().get(id).map(|ById(user)| Arc::clone(user))
    }

    /// Closes the transports of a user's sockets whose tokens were issued before a Unix time in milliseconds.
    pub fn cut(&self, id: &UserId, not_before_ms: i64) {
        let sockets = self.get(id.as_str()).map(|user| user.sockets()).unwrap_or_default();
        for socket in sockets.iter().filter(|socket| socket.token().issued_at_ms < not_before_ms) {
            socket.emitter.disconnect_transport();
        }
    }

    /// Tells every socket here.
    pub fn tell_all(&self, packet: &Packet) {
        for socket in self.all().iter().flat_map(|user| user.sockets()) {
            // One that is closed already needs no telling.
            let _ = socket.emitter.send(packet);
        }
    }

    /// Visits all users connected here. Nobody comes or goes meanwhile.
    pub(crate) fn each(&self, mut visit: impl FnMut(&User)) {
        for ById(user) in &*self.lock() {
            visit(user);
        }
    }

    /// All users connected here.
    pub(crate) fn all(&self) -> Vec<Arc<User>> {
        self.lock().iter().map(|ById(user)| Arc::clone(user)).collect()
    }
}

impl User {
    fn new(id: UserId, sid: u64) -> Self {
        Self {
            id,
            sid,
            heard: AtomicU64::new(0),
            presences: AtomicUsize::new(0),
            sockets: Mutex::default(),
            memory: Mutex::default(),
        }
    }

    /// How many events the inbox has had. A socket that is [added](Self::add) hears all that are not counted yet.
    pub(crate) fn heard(&self) -> u64 {
        self.heard.load(Ordering::SeqCst)
    }

    /// An event has come; to be said before it is given to the sockets. Returns its number, from 1.
    pub(crate) fn hears(&self) -> u64 {
        self.heard.fetch_add(1, Ordering::SeqCst) + 1
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
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut users = self.users.lock();
        if self.user.presences.fetch_sub(1, Ordering::SeqCst) == 1 {
            users.remove(self.user.id.as_str());
            self.users.inboxes.unsubscribe(&self.user.id, self.user.sid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_presence_takes_the_user_along() {
        let users = Arc::new(Users::new(Inboxes::new("")));
        let alice = UserId::new("alice").unwrap();
        let (first, second) = (users.enter(alice.clone()), users.enter(alice.clone()));
        let user = Arc::clone(first.user());
        assert!(Arc::ptr_eq(&user, second.user()));
        drop(first);
        assert!(users.get("alice").is_some());
        drop(second);
        assert!(users.get("alice").is_none());
        // Who comes back is subscribed anew.
        assert_ne!(users.enter(alice).user().sid, user.sid);
    }
}

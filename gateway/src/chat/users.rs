//! Who is connected here: one entry and one inbox subscription per user, however many sockets.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use proto::UserId;
use tokio::sync::{Notify, OnceCell};

use super::Socket;
use crate::socketio::Packet;

/// The users with a socket on this gateway.
#[derive(Debug, Default)]
pub struct Users(Mutex<HashMap<UserId, Entry>>);

#[derive(Debug)]
struct Entry {
    user: Arc<User>,
    presences: usize,
}

/// A user with at least one socket here.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) id: UserId,
    /// Set once the inbox is subscribed.
    pub(crate) inbox: OnceCell<()>,
    heard: AtomicU64,
    sockets: Mutex<Vec<Arc<Socket>>>,
    gone: Notify,
}

/// Keeps a user's entry alive; when the last one is dropped, the inbox subscription ends.
#[derive(Debug)]
pub(crate) struct Presence {
    users: Arc<Users>,
    user: Arc<User>,
}

impl Users {
    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a user.
    pub(crate) fn enter(self: &Arc<Self>, id: UserId) -> Presence {
        let mut users = self.lock();
        let entry = users.entry(id).or_insert_with_key(|id| Entry { user: Arc::new(User::new(id)), presences: 0 });
        entry.presences += 1;
        Presence { users: Arc::clone(self), user: Arc::clone(&entry.user) }
    }

    /// The user with this id, if connected here.
    fn get(&self, id: &UserId) -> Option<Arc<User>> {
        self.lock().get(id).map(|entry| Arc::clone(&entry.user))
    }

    /// Closes the transports of a user's sockets whose tokens were issued at or before a Unix time in seconds.
    pub fn cut(&self, id: &UserId, not_before_s: i64) {
        let sockets = self.get(id).map(|user| user.sockets()).unwrap_or_default();
        for socket in sockets.iter().filter(|socket| socket.token().issued_at_s <= not_before_s) {
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

    /// All users connected here.
    pub(crate) fn all(&self) -> Vec<Arc<User>> {
        self.lock().values().map(|entry| Arc::clone(&entry.user)).collect()
    }
}

impl User {
    fn new(id: &UserId) -> Self {
        Self {
            id: id.clone(),
            inbox: OnceCell::new(),
            heard: AtomicU64::new(0),
            sockets: Mutex::default(),
            gone: Notify::new(),
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

    fn lock_sockets(&self) -> MutexGuard<'_, Vec<Arc<Socket>>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The user's sockets.
    pub(crate) fn sockets(&self) -> Vec<Arc<Socket>> {
        self.lock_sockets().clone()
    }

    /// From now on the socket hears what the user hears.
    pub(crate) fn add(&self, socket: &Arc<Socket>) {
        self.lock_sockets().push(Arc::clone(socket));
    }

    /// The socket is gone. False if it had not been added.
    pub(crate) fn remove(&self, socket: &Arc<Socket>) -> bool {
        let mut sockets = self.lock_sockets();
        let before = sockets.len();
        sockets.retain(|other| !Arc::ptr_eq(other, socket));
        sockets.shrink_to_fit();
        sockets.len() < before
    }

    /// Waits until nobody needs the inbox any more.
    pub(crate) async fn gone(&self) {
        self.gone.notified().await;
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
        let Some(entry) = users.get_mut(&self.user.id) else { return };
        entry.presences -= 1;
        if entry.presences == 0 {
            users.remove(&self.user.id);
            self.user.gone.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_presence_takes_the_user_along() {
        let users = Arc::new(Users::default());
        let alice = UserId::new("alice").unwrap();
        let (first, second) = (users.enter(alice.clone()), users.enter(alice.clone()));
        let user = Arc::clone(first.user());
        assert!(Arc::ptr_eq(&user, second.user()));
        drop(first);
        assert!(users.get(&alice).is_some());
        drop(second);
        assert!(users.get(&alice).is_none());
        user.gone().await;
    }
}

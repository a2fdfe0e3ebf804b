//! Who is connected here: one entry and one inbox subscription per user, however many sockets.

use std::{
    borrow::Borrow,
    collections::HashSet,
    future::poll_fn,
    hash::{Hash, Hasher},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::Poll,
};

use futures_util::task::AtomicWaker;
use proto::UserId;
use tokio::sync::OnceCell;

use super::Socket;
use crate::socketio::Packet;

/// The users with a socket on this gateway.
#[derive(Debug, Default)]
pub struct Users(Mutex<HashSet<ById>>);

/// A user that is found by its id: one pointer, as the table is as long as there are users.
#[derive(Debug)]
struct ById(Arc<User>);

impl Borrow<UserId> for ById {
    fn borrow(&self) -> &UserId {
        &self.0.id
    }
}

impl Hash for ById {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
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
    /// Set once the inbox is subscribed.
    pub(crate) inbox: OnceCell<()>,
    heard: AtomicU64,
    /// Changes only while [`Users`] is locked; never from none to some again.
    presences: AtomicUsize,
    sockets: Mutex<Vec<Arc<Socket>>>,
    /// The task of the inbox, which waits for the end of the last one.
    waits_for_end: AtomicWaker,
}

/// Keeps a user's entry alive; when the last one is dropped, the inbox subscription ends.
#[derive(Debug)]
pub(crate) struct Presence {
    users: Arc<Users>,
    user: Arc<User>,
}

impl Users {
    fn lock(&self) -> MutexGuard<'_, HashSet<ById>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a user.
    pub(crate) fn enter(self: &Arc<Self>, id: UserId) -> Presence {
        let mut users = self.lock();
        let user = users.get(&id).map_or_else(|| Arc::new(User::new(id)), |ById(user)| Arc::clone(user));
        if user.presences.fetch_add(1, Ordering::SeqCst) == 0 {
            users.insert(ById(Arc::clone(&user)));
        }
        Presence { users: Arc::clone(self), user }
    }

    /// The user with this id, if connected here.
    fn get(&self, id: &UserId) -> Option<Arc<User>> {
        self.lock().get(id).map(|ById(user)| Arc::clone(user))
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
        self.lock().iter().map(|ById(user)| Arc::clone(user)).collect()
    }
}

impl User {
    fn new(id: UserId) -> Self {
        Self {
            id,
            inbox: OnceCell::new(),
            heard: AtomicU64::new(0),
            presences: AtomicUsize::new(0),
            sockets: Mutex::default(),
            waits_for_end: AtomicWaker::new(),
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

    /// Waits until nobody needs the inbox any more; only one task at a time may.
    ///
    /// Every inbox waits here for as long as its user is connected: a waker alone is smaller than a `Notify`'s future.
    pub(crate) fn gone(&self) -> impl Future<Output = ()> {
        poll_fn(|cx| {
            self.waits_for_end.register(cx.waker());
            if self.presences.load(Ordering::SeqCst) == 0 { Poll::Ready(()) } else { Poll::Pending }
        })
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
            users.remove(&self.user.id);
            self.user.waits_for_end.wake();
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

//! Users of whom something is to be done, each once however often that is said.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use proto::UserId;
use tokio::sync::Notify;

/// The users. They are watched, and so as many at most.
#[derive(Debug, Default)]
pub(in crate::chat) struct News {
    users: Mutex<HashSet<UserId>>,
    added: Notify,
}

impl News {
    /// Something is to be done.
    pub(in crate::chat) fn add(&self, user: &UserId) {
        self.users.lock().unwrap_or_else(PoisonError::into_inner).insert(user.clone());
        self.added.notify_one();
    }

    /// Waits for users, and takes all of them.
    pub(in crate::chat) async fn take(&self) -> HashSet<UserId> {
        loop {
            let users = std::mem::take(&mut *self.users.lock().unwrap_or_else(PoisonError::into_inner));
            if !users.is_empty() {
                return users;
            }
            self.added.notified().await;
        }
    }
}

//! What a gateway knows of who is online: the users who were here until just now, and those whom sockets here watch.

mod news;
mod table;

pub(super) use news::News;
pub(super) use table::{SHARDS, Table};

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use gateway_core::leaving::Leaving;
use proto::UserId;
use tokio::sync::Semaphore;

use super::users::Stay;
use crate::inboxes::Inboxes;

/// Questions of one gateway that are under way at once, besides those of joins.
const MAX_ASKED: usize = 64;

/// What a gateway knows of who is online.
#[derive(Debug)]
pub struct Presences {
    /// How long a user has no socket in use until others are told, and the time between two questions.
    pub(super) grace: Duration,
    pub(super) watched: Table,
    /// Watched users of whom their watchers are to be told something.
    pub(super) news: News,
    /// Watched users who are said to have gone, which is to be asked.
    pub(super) gone: News,
    /// Watched users of whom it is to be asked again who may see them.
    pub(super) to_judge: News,
    /// Users who were here until just now. They stay, so that their inboxes are answered for.
    leaving: Mutex<Leaving<Stay>>,
    pub(super) asked: Arc<Semaphore>,
}

impl Presences {
    /// Nobody is watched.
    pub fn new(grace: Duration, inboxes: Inboxes) -> Self {
        Self {
            grace,
            watched: Table::new(inboxes),
            news: News::default(),
            gone: News::default(),
            to_judge: News::default(),
            leaving: Mutex::new(Leaving::new(grace)),
            asked: Arc::new(Semaphore::new(MAX_ASKED)),
        }
    }

    /// Visits each user of whose presence it is to be heard, with the number of the subscription.
    pub(super) fn each_watched(&self, visit: &mut dyn FnMut(&UserId, u64)) {
        self.watched.each(visit);
    }

    pub(super) fn leaving(&self) -> MutexGuard<'_, Leaving<Stay>> {
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! What is committed and not published yet: the pure `Backlog` of chat-service, and who waits for it to change.

use std::{
    cell::{Cell, RefCell, RefMut},
    collections::BTreeSet,
};

use chat_service::posted::Backlog;

use crate::channel::Queue;

/// Where the lanes say what they committed, and the other replicas what they published.
#[derive(Default)]
pub(super) struct Posted {
    backlog: RefCell<Backlog>,
    changed: Queue<()>,
    /// Whether the stream may be another one than before.
    pub(super) is_disturbed: Cell<bool>,
    pub(super) is_publishing: Cell<bool>,
}

impl Posted {
    /// There is more to be published, or to be looked for.
    pub(super) fn owe(&self, more: impl FnOnce(&mut Backlog)) {
        more(&mut self.backlog());
        self.wake();
    }

    /// Whether this replica knows who else is there.
    pub(super) fn note_settled(&self, is_settled: bool) {
        if self.backlog().note_settled(is_settled) {
            self.wake();
        }
    }

    /// This replica owns these partitions. Nothing is published before it owns any.
    pub(super) fn note_owned(&self, partitions: &BTreeSet<u8>) {
        let is_news = self.backlog().owned.as_ref() != Some(partitions);
        if is_news {
            self.backlog().owned = Some(partitions.clone());
            self.wake();
        }
    }

    /// What is committed and not published.
    pub(super) fn backlog(&self) -> RefMut<'_, Backlog> {
        self.backlog.borrow_mut()
    }

    /// Whether everything is published as far as is known.
    pub(super) fn is_done(&self) -> bool {
        !self.is_publishing.get() && self.backlog().is_empty()
    }

    /// Wakes who waits for a change.
    pub(super) fn wake(&self) {
        self.changed.push(());
    }

    /// Waits for a change.
    pub(super) async fn changed(&self) {
        self.changed.pop().await;
        while self.changed.try_pop().is_some() {}
    }
}

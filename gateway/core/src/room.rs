//! One socket's view of one joined chat: what it was given, what it waits for. Pure: no IO, no clock.

use crate::{
    mistake::{self, Mistake},
    track::{Counted, Track},
};

/// What has a place among the messages of its match: behind this one, and before the next.
pub trait Follows {
    /// The seq of the message; 0 before the first.
    fn after_seq(&self) -> i64;
}

/// The places of a socket in a joined chat: among its messages `M` and its changes `C`.
#[derive(Debug)]
pub struct Room<M, C> {
    messages: Track<M>,
    changes: Track<C>,
    /// False until the first join has read its snapshot.
    open: bool,
    /// While a join runs everything is held.
    joining: bool,
    /// After a recovery what was missed is fetched page by page; live messages only raise the head until that is done.
    pulling: bool,
}

/// What a room gives its socket now. Each change comes behind the message that it follows: [`Due::in_order`].
#[derive(Debug, PartialEq, Eq)]
pub struct Due<M, C> {
    /// Messages, ascending.
    pub messages: Vec<M>,
    /// Changes, ascending.
    pub changes: Vec<C>,
}

/// One of what is due.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<M, C> {
    /// A message.
    Message(M),
    /// A change.
    Change(C),
}

/// What a socket misses of a chat and is to be fetched first: changes only when no message is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Messages.
    Messages,
    /// Changes.
    Changes,
}

impl<M, C> Default for Due<M, C> {
    fn default() -> Self {
        Self { messages: Vec::new(), changes: Vec::new() }
    }
}

impl<M: Counted, C: Counted + Follows> Due<M, C> {
    /// Everything in one order.
    pub fn in_order(self) -> impl Iterator<Item = Item<M, C>> {
        let mut messages = self.messages.into_iter().peekable();
        let mut changes = self.changes.into_iter().peekable();
        std::iter::from_fn(move || {
            let next_message = messages.peek().map(Counted::number);
            let is_change_next = |change: &C| next_message.is_none_or(|seq| change.after_seq() < seq);
            match changes.next_if(is_change_next) {
                Some(change) => Some(Item::Change(change)),
                None => messages.next().map(Item::Message),
            }
        })
    }

    /// Adds what is due after all of this.
    pub fn extend(&mut self, later: Self) {
        append(&mut self.messages, later.messages);
        append(&mut self.changes, later.changes);
    }
}

fn append<T>(to: &mut Vec<T>, more: Vec<T>) {
    if to.is_empty() {
        *to = more;
    } else {
        to.extend(more);
    }
}

impl<M: Counted, C: Counted + Follows> Room<M, C> {
    /// A room whose first join has begun.
    pub fn joining() -> Self {
        let (messages, changes) = (Track::at(0, 0), Track::at(0, 0));
        Self { messages, changes, open: false, joining: true, pulling: false }
    }

    /// A room that an earlier socket had open: how far that one had come, and how far the chat has, in seq and rev.
    pub fn recovered((seq, rev): (i64, i64), (last_seq, last_rev): (i64, i64)) -> Self {
        let (messages, changes) = (Track::at(seq, last_seq), Track::at(rev, last_rev));
        Self { messages, changes, open: true, joining: false, pulling: seq < last_seq }
    }

    /// Another join of the room has begun.
    pub fn rejoin(&mut self) {
        self.joining = true;
    }

    /// The join's snapshot was read: live starts after `last_seq` and `rev`.
    pub fn opened(&mut self, last_seq: i64, rev: i64) -> Due<M, C> {
        self.open = true;
        self.messages.skip_to(last_seq);
        self.changes.skip_to(rev);
        self.end_join()
    }

    /// The join has failed. `None` if it was the first: the room is to be dropped.
    pub fn join_failed(&mut self) -> Option<Due<M, C>> {
        self.open.then(|| self.end_join())
    }

    fn end_join(&mut self) -> Due<M, C> {
        self.joining = false;
        let messages = self.messages.release(|_| true);
        self.due(messages)
    }

    /// A message arrived. Returns what is to be given now.
    pub fn post(&mut self, message: M) -> Due<M, C> {
        if self.pulling {
            self.messages.learn_head(message.number());
            return Due::default();
        }
        let is_free = !self.joining;
        let messages = self.messages.take(message, |_| is_free);
        self.due(messages)
    }

    /// The next message of a page of what was missed. Returns what is to be given now.
    ///
    /// The page begins at the cursor or before it and holds every message up to its last one. A seq that it leaves out
    /// has no message.
    pub fn fill(&mut self, message: M) -> Due<M, C> {
        let mut due = self.pass(message.number().saturating_sub(1));
        let is_free = !self.joining;
        let messages = self.messages.take(message, |_| is_free);
        due.extend(self.due(messages));
        due
    }

    /// Every message up to `through` that exists was fetched. Returns what is to be given now: what was held behind the
    /// holes.
    pub fn pass(&mut self, through: i64) -> Due<M, C> {
        // The join's snapshot moves the cursor; if the join fails, the page is fetched again.
        if self.joining || through <= self.messages.cursor() {
            return Due::default();
        }
        let messages = self.messages.pass(through, |_| true);
        self.due(messages)
    }

    /// A change arrived. Returns what is to be given now. The messages before it may be missing still.
    pub fn change(&mut self, change: C) -> Due<M, C> {
        self.messages.learn_head(change.after_seq());
        let reached = self.reached();
        Due { messages: Vec::new(), changes: self.changes.take(change, |change| change.after_seq() <= reached) }
    }

    /// The next change of a page of what was missed; as [`fill`](Self::fill).
    pub fn fill_change(&mut self, change: C) -> Due<M, C> {
        let mut due = self.pass_changes(change.number().saturating_sub(1));
        due.extend(self.change(change));
        due
    }

    /// Every change up to `through` that exists was fetched; as [`pass`](Self::pass).
    pub fn pass_changes(&mut self, through: i64) -> Due<M, C> {
        if self.joining || through <= self.changes.cursor() {
            return Due::default();
        }
        let reached = self.reached();
        Due { messages: Vec::new(), changes: self.changes.pass(through, |change| change.after_seq() <= reached) }
    }

    /// What is due with these messages: they, and the changes that waited for them.
    fn due(&mut self, messages: Vec<M>) -> Due<M, C> {
        self.pulling &= self.messages.is_behind();
        let reached = self.reached();
        Due { messages, changes: self.changes.release(|change| change.after_seq() <= reached) }
    }

    /// The seq behind which changes may be given; none may while a join runs.
    fn reached(&self) -> i64 {
        match self.joining {
            true => -1,
            false if mistake::is_planted(Mistake::EarlyChanges) => i64::MAX,
            false => self.messages.cursor(),
        }
    }

    /// What was missed cannot be fetched now: live messages are held again, until heads are compared.
    pub fn stop_pulling(&mut self) {
        self.pulling = false;
    }

    /// The chat has come at least so far, in seq and rev.
    pub fn learn_head(&mut self, last_seq: i64, rev: i64) {
        self.messages.learn_head(last_seq);
        self.changes.learn_head(rev);
    }

    /// The seq and the rev that are known to exist.
    pub fn known(&self) -> (i64, i64) {
        (self.messages.head(), self.changes.head())
    }

    /// What is missing.
    pub fn missing(&self) -> Option<Missing> {
        match () {
            () if self.joining => None,
            () if self.messages.is_behind() => Some(Missing::Messages),
            () => self.changes.is_behind().then_some(Missing::Changes),
        }
    }

    /// Whether what was missed before a recovery is still being fetched.
    pub fn is_pulling(&self) -> bool {
        self.pulling
    }

    /// Whether the room has been joined.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Every message up to it was given, is the socket's own, or was left to paging.
    pub fn seq(&self) -> i64 {
        self.messages.cursor()
    }

    /// Every change up to it was given.
    pub fn rev(&self) -> i64 {
        self.changes.cursor()
    }
}

#[cfg(test)]
mod tests;

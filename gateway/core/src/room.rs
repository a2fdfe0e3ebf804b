//! One socket's view of one joined chat: what it was given, what it waits for. Pure: no IO, no clock.

use std::collections::BTreeMap;

use crate::mistake::{self, Mistake};

/// Most messages held back behind a gap or a running join; what lies beyond is fetched again later.
pub const MAX_HELD: usize = 200;

/// What has a place in an order from 1.
pub trait Sequenced {
    /// Its place.
    fn seq(&self) -> i64;
}

/// The cursors of one joined chat: over its messages `M` and its milestones `N`.
///
/// Every message up to `cursor` was delivered, is the socket's own, or was left to paging; nothing above it was.
#[derive(Debug)]
pub struct Room<M, N> {
    cursor: i64,
    /// The highest seq heard of.
    head: i64,
    milestones: i64,
    /// False until the first join has read its snapshot.
    open: bool,
    /// While a join runs everything is held.
    joining: bool,
    /// After a recovery what was missed is fetched page by page; live messages only raise the head until that is done.
    pulling: bool,
    /// Mostly nothing, and then it is one word.
    held: Option<Box<Held<M, N>>>,
}

/// What arrived and is not due yet.
#[derive(Debug)]
struct Held<M, N> {
    messages: BTreeMap<i64, M>,
    milestones: BTreeMap<i64, N>,
}

impl<M, N> Default for Held<M, N> {
    fn default() -> Self {
        Self { messages: BTreeMap::new(), milestones: BTreeMap::new() }
    }
}

/// What a room gives its socket now, in order.
#[derive(Debug, PartialEq, Eq)]
pub struct Due<M, N> {
    /// First these,
    pub messages: Vec<M>,
    /// then these.
    pub milestones: Vec<N>,
}

impl<M: Sequenced, N: Sequenced> Room<M, N> {
    /// A room whose first join has begun.
    pub fn joining() -> Self {
        Self { cursor: 0, head: 0, milestones: 0, open: false, joining: true, pulling: false, held: None }
    }

    /// A room that an earlier socket had open, as far as that one had read.
    pub fn recovered(cursor: i64, head: i64, milestones: i64) -> Self {
        Self { cursor, head, milestones, open: true, joining: false, pulling: cursor < head, ..Self::joining() }
    }

    /// Another join of the room has begun.
    pub fn rejoin(&mut self) {
        self.joining = true;
    }

    /// The join's snapshot was read: live starts after `last_seq`, `milestones` of them are known.
    pub fn opened(&mut self, last_seq: i64, milestones: i64) -> Due<M, N> {
        self.open = true;
        self.cursor = self.cursor.max(last_seq);
        self.milestones = self.milestones.max(milestones);
        self.head = self.head.max(self.cursor);
        self.pulling &= self.head > self.cursor;
        self.resume()
    }

    /// The join has failed. `None` if it was the first: the room is to be dropped.
    pub fn join_failed(&mut self) -> Option<Due<M, N>> {
        self.open.then(|| self.resume())
    }

    /// A message arrived. Returns what is to be delivered now.
    pub fn post(&mut self, message: M) -> Vec<M> {
        if self.pulling {
            self.learn_head(message.seq());
            return Vec::new();
        }
        self.take(message)
    }

    /// The next message of a page of what was missed. Returns what is to be delivered now.
    ///
    /// The page begins at the cursor or before it and holds every message up to its last one. A seq that it leaves out
    /// has no message.
    pub fn fill(&mut self, message: M) -> Vec<M> {
        let mut due = self.pass(message.seq().saturating_sub(1));
        due.extend(self.take(message));
        self.pulling &= self.head > self.cursor;
        due
    }

    /// Every message up to `through` that exists was fetched. Returns what is to be delivered now: what was held behind
    /// the holes.
    pub fn pass(&mut self, through: i64) -> Vec<M> {
        // The join's snapshot moves the cursor; if the join fails, the page is fetched again.
        if self.joining || through <= self.cursor {
            return Vec::new();
        }
        let mut due = Vec::new();
        if let Some(held) = &mut self.held {
            let later = held.messages.split_off(&through.saturating_add(1));
            due.extend(std::mem::replace(&mut held.messages, later).into_values());
        }
        self.cursor = through;
        self.head = self.head.max(through);
        self.pulling &= self.head > self.cursor;
        due.extend(self.release());
        due
    }

    /// What was missed cannot be fetched now: live messages are held again, until heads are compared.
    pub fn stop_pulling(&mut self) {
        self.pulling = false;
    }

    fn take(&mut self, message: M) -> Vec<M> {
        let seq = message.seq();
        self.head = self.head.max(seq);
        if seq <= self.cursor {
            return if mistake::is_planted(Mistake::NoDrop) { vec![message] } else { Vec::new() };
        }
        let is_next = seq == self.cursor + 1 || mistake::is_planted(Mistake::NoHold);
        if !self.joining && is_next && !self.holds_messages() {
            self.cursor = seq;
            return vec![message];
        }
        let held = &mut self.held.get_or_insert_default().messages;
        held.insert(seq, message);
        if held.len() > MAX_HELD {
            // The lowest are due first; the highest can be fetched again.
            held.pop_last();
        }
        if self.joining { Vec::new() } else { self.release() }
    }

    /// A milestone was announced. Returns it if this socket is to be told now: one that follows a gap is told when the
    /// heads are compared, after those that were missed.
    pub fn announce(&mut self, milestone: N) -> Option<N> {
        if self.joining {
            self.held.get_or_insert_default().milestones.insert(milestone.seq(), milestone);
            return None;
        }
        (milestone.seq() == self.milestones + 1).then(|| {
            self.milestones = milestone.seq();
            milestone
        })
    }

    /// The chat's head is at least `last_seq`.
    pub fn learn_head(&mut self, last_seq: i64) {
        self.head = self.head.max(last_seq);
    }

    /// Whether messages are missing.
    pub fn is_behind(&self) -> bool {
        !self.joining && self.head > self.cursor
    }

    /// Whether what was missed before a recovery is still being fetched.
    pub fn is_pulling(&self) -> bool {
        self.pulling
    }

    /// Whether the room has been joined.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Everything up to it was delivered, is the socket's own, or was left to paging.
    pub fn cursor(&self) -> i64 {
        self.cursor
    }

    /// How many milestones this socket was told.
    pub fn milestones(&self) -> i64 {
        self.milestones
    }

    fn holds_messages(&self) -> bool {
        self.held.as_ref().is_some_and(|held| !held.messages.is_empty())
    }

    fn resume(&mut self) -> Due<M, N> {
        self.joining = false;
        let held = self.held.as_mut().map(|held| std::mem::take(&mut held.milestones)).unwrap_or_default();
        let milestones = held.into_values().filter_map(|milestone| self.announce(milestone)).collect();
        Due { messages: self.release(), milestones }
    }

    fn release(&mut self) -> Vec<M> {
        let mut ready = Vec::new();
        let Some(held) = &mut self.held else { return ready };
        held.messages = held.messages.split_off(&(self.cursor + 1));
        while let Some(message) = held.messages.remove(&(self.cursor + 1)) {
            self.cursor += 1;
            ready.push(message);
        }
        self.held.take_if(|held| held.messages.is_empty() && held.milestones.is_empty());
        ready
    }
}

#[cfg(test)]
mod tests;

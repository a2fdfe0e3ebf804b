//! The commands of one socket whose order counts: a match's go one after the other. Pure: no IO, no clock.

use std::collections::VecDeque;

use proto::MatchId;

use crate::mistake::{self, Mistake};
use crate::turns::{MAX_BATCH_BYTES, MAX_WAITING, Turn, Weighted};

/// Which commands to other matches a command must not overtake. Those to its own match it never overtakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// A message: none.
    Message,
    /// Something else that is written to one match: none, and nothing goes together with it.
    Write,
    /// A change of one chat: a join that leaves this chat.
    Chat,
    /// A join that leaves the other chats: every change of a chat.
    AllChats,
}

impl Reach {
    fn is_change(self) -> bool {
        matches!(self, Self::Chat | Self::AllChats)
    }
}

/// The commands of one socket that are at work, and those that wait for them. Idle it holds nothing.
#[derive(Debug)]
pub struct Lines<T> {
    /// At most one for each match.
    working: Vec<(MatchId, Reach)>,
    #[expect(clippy::box_collection, reason = "a deque itself is four words")]
    waiting: Option<Box<VecDeque<Waiting<T>>>>,
}

#[derive(Debug)]
struct Waiting<T> {
    chat: MatchId,
    reach: Reach,
    work: T,
}

/// Commands to one match that go together: messages, or one of any other sort.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch<T> {
    /// The match.
    pub chat: MatchId,
    /// In the order in which the socket emitted them; never empty.
    pub work: Vec<T>,
}

impl<T> Default for Lines<T> {
    fn default() -> Self {
        Self { working: Vec::new(), waiting: None }
    }
}

impl<T: Weighted> Lines<T> {
    /// Whether a command would have to wait for nothing.
    pub fn is_free(&self, chat: &MatchId, reach: Reach) -> bool {
        !self.is_blocked(chat, reach, self.waiting().count())
    }

    /// Takes a command. One whose turn it is counts as at work until it is [`done`](Self::done).
    pub fn take(&mut self, chat: &MatchId, reach: Reach, work: T) -> Turn<T> {
        if self.is_free(chat, reach) {
            // Mostly one match at a time.
            self.working.reserve_exact(1);
            self.working.push((chat.clone(), reach));
            return Turn::Now(work);
        }
        if self.waiting().filter(|other| shares_bound(other, chat, reach)).count() >= MAX_WAITING {
            return Turn::Full(work);
        }
        self.waiting.get_or_insert_default().push_back(Waiting { chat: chat.clone(), reach, work });
        Turn::Waits
    }

    /// The commands to a match that were at work are done. What goes on now is told by [`next`](Self::next).
    pub fn done(&mut self, chat: &MatchId) {
        self.working.retain(|(other, _)| other != chat);
    }

    /// Begins the first of the waiting commands that may go on, with the messages that can go with it.
    #[expect(clippy::should_implement_trait, reason = "its end is not for good")]
    pub fn next(&mut self) -> Option<Batch<T>> {
        let may_go = |(index, entry): (usize, &Waiting<T>)| !self.is_blocked(&entry.chat, entry.reach, index);
        let first = self.waiting().enumerate().position(may_go)?;
        let waiting = self.waiting.as_mut()?;
        let Waiting { chat, reach, work } = waiting.remove(first)?;
        let mut batch = Batch { chat, work: vec![work] };
        if reach == Reach::Message {
            gather(waiting, first, &mut batch);
        }
        self.waiting.take_if(|waiting| waiting.is_empty());
        self.working.push((batch.chat.clone(), reach));
        Some(batch)
    }

    fn waiting(&self) -> impl Iterator<Item = &Waiting<T>> {
        self.waiting.iter().flat_map(|waiting| waiting.iter())
    }

    /// Whether a command must wait for one that is at work, or for one of the first `ahead` that wait.
    fn is_blocked(&self, chat: &MatchId, reach: Reach, ahead: usize) -> bool {
        if mistake::is_planted(Mistake::NoTurns) {
            return false;
        }
        let blocks = |other: &MatchId, other_reach: Reach| {
            let leaves = reach == Reach::AllChats || other_reach == Reach::AllChats;
            other == chat || (leaves && reach.is_change() && other_reach.is_change())
        };
        self.working.iter().any(|(other, other_reach)| blocks(other, *other_reach))
            || self.waiting().take(ahead).any(|other| blocks(&other.chat, other.reach))
    }
}

/// The bound on what waits is for what is written to each match, and for all changes of chats together.
fn shares_bound<T>(other: &Waiting<T>, chat: &MatchId, reach: Reach) -> bool {
    other.reach.is_change() == reach.is_change() && (reach.is_change() || other.chat == *chat)
}

/// Adds the messages to the batch's match that follow from `index` on, up to the next command of another sort.
fn gather<T: Weighted>(waiting: &mut VecDeque<Waiting<T>>, mut index: usize, batch: &mut Batch<T>) {
    let mut bytes: usize = batch.work.iter().map(Weighted::bytes).sum();
    while let Some(entry) = waiting.get(index) {
        if entry.chat != batch.chat {
            index += 1;
            continue;
        }
        bytes += entry.work.bytes();
        if entry.reach != Reach::Message || bytes > MAX_BATCH_BYTES {
            return;
        }
        batch.work.extend(waiting.remove(index).map(|entry| entry.work));
    }
}

#[cfg(test)]
mod tests;

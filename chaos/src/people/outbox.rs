//! What a client has sent in one match, until it is answered for good: the documented `sendReliably` rule. Pure.

use std::{collections::VecDeque, time::Duration};

/// How long an ack may take before the message is sent again.
pub(super) const ACK_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Item {
    index: u32,
    first: Duration,
    /// When it is to be emitted, again if there is no answer until then; never if it is answered, or goes by REST.
    emit_at: Option<Duration>,
    /// Requests under its clientId that may still be answered.
    asked: u32,
}

/// The open messages of one client in one match, oldest first.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    next_index: u32,
    items: VecDeque<Item>,
}

impl Outbox {
    /// A new message; `emits` if the socket is to send it.
    pub(super) fn push(&mut self, now: Duration, emits: bool) -> u32 {
        let index = self.next_index;
        self.next_index += 1;
        self.items.push_back(Item { index, first: now, emit_at: emits.then_some(now), asked: 0 });
        index
    }

    /// How many messages are open.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// How many were ever pushed.
    pub(super) fn total(&self) -> u32 {
        self.next_index
    }

    /// The next message to be emitted now.
    pub(super) fn due(&mut self, now: Duration) -> Option<u32> {
        let item = self.items.iter_mut().find(|item| item.emit_at.is_some_and(|at| at <= now))?;
        item.emit_at = Some(now + ACK_TIMEOUT);
        Some(item.index)
    }

    /// When something is due.
    pub(super) fn due_at(&self) -> Option<Duration> {
        self.items.iter().filter_map(|item| item.emit_at).min()
    }

    /// A request under the message's clientId was made.
    pub(super) fn asked(&mut self, index: u32) {
        if let Some(item) = self.item(index) {
            item.asked += 1;
        }
    }

    /// A request will not be answered any more, or was.
    pub(super) fn answered(&mut self, index: u32) {
        if let Some(item) = self.item(index) {
            item.asked = item.asked.saturating_sub(1);
        }
    }

    /// The message is stored or refused for good; when it was first sent, if that is news.
    pub(super) fn done(&mut self, index: u32) -> Option<Duration> {
        let item = self.item(index)?;
        item.emit_at.take().map(|_| item.first)
    }

    /// The message is to be sent again after a pause.
    pub(super) fn retry(&mut self, index: u32, at: Duration) {
        if let Some(item) = self.item(index).filter(|item| item.emit_at.is_some()) {
            item.emit_at = Some(at);
        }
    }

    /// The connection is new: what was not answered is sent again at once, in order. Unless the one before was lost,
    /// nobody but the user is to blame for the time in between, and it counts as sent first now.
    pub(super) fn connected(&mut self, now: Duration, was_lost: bool) {
        for item in self.items.iter_mut().filter(|item| item.emit_at.is_some()) {
            item.emit_at = Some(now);
            if !was_lost {
                item.first = now;
            }
        }
    }

    /// Takes a message out of which nothing more can come.
    pub(super) fn settled(&mut self) -> Option<u32> {
        let at = self.items.iter().position(|item| item.emit_at.is_none() && item.asked == 0)?;
        self.items.remove(at).map(|item| item.index)
    }

    fn item(&mut self, index: u32) -> Option<&mut Item> {
        self.items.iter_mut().find(|item| item.index == index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_message_without_an_answer_is_sent_again() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.push(SECOND, true), 0);
        assert_eq!((outbox.due(SECOND), outbox.due(SECOND)), (Some(0), None));
        assert_eq!(outbox.due_at(), Some(SECOND + ACK_TIMEOUT));
        assert_eq!(outbox.due(SECOND + ACK_TIMEOUT), Some(0));
        outbox.retry(0, SECOND * 30);
        assert_eq!(outbox.due(SECOND * 29), None);
        outbox.connected(SECOND * 29, true);
        assert_eq!(outbox.due(SECOND * 29), Some(0));
        assert_eq!(outbox.done(0), Some(SECOND));
    }

    #[test]
    fn the_time_that_a_user_was_away_by_choice_counts_for_no_message() {
        let mut outbox = Outbox::default();
        let index = outbox.push(SECOND, true);
        outbox.connected(SECOND * 3, false);
        assert_eq!(outbox.done(index), Some(SECOND * 3));
    }

    #[test]
    fn a_message_is_settled_when_nothing_is_asked_any_more() {
        let mut outbox = Outbox::default();
        let index = outbox.push(SECOND, true);
        outbox.asked(index);
        outbox.asked(index);
        assert_eq!(outbox.done(index), Some(SECOND));
        assert_eq!(outbox.done(index), None, "the second answer is no news");
        outbox.answered(index);
        assert_eq!(outbox.settled(), None);
        outbox.answered(index);
        assert_eq!((outbox.settled(), outbox.len()), (Some(0), 0));
    }
}

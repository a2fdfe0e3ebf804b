//! What one user receives: live messages, and after a reconnect the pages it missed, merged in seq order. Pure.

use crate::identity::{Side, Tag};

/// A message as it reached a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incoming {
    /// Its place in the match.
    pub seq: u64,
    /// Who wrote it, and which of its messages it is; none if it is not of this run.
    pub sent: Option<(Side, Tag)>,
}

impl Incoming {
    /// What the checker calls it.
    pub fn tag(&self) -> Option<promises::Tag> {
        self.sent.map(|(sender, tag)| promises::Tag { slot: sender as u8, index: tag.index, variant: 0 })
    }

    /// When the other member meant to send it to this one; none for an own message, which a page has too.
    pub fn from_other(&self, me: Side) -> Option<Tag> {
        self.sent.filter(|(sender, _)| *sender != me).map(|(_, tag)| tag)
    }
}

/// A page of a join.
#[derive(Debug)]
pub struct Page {
    /// Messages after the `sinceSeq` asked for, ascending.
    pub messages: Vec<Incoming>,
    /// The last seq of the match when the page was read.
    pub last_seq: u64,
    /// Whether more follow before `last_seq`.
    pub has_more: bool,
}

/// What a user has seen of its match.
#[derive(Debug, Default)]
pub struct Inbox {
    cursor: Option<u64>,
    catching_up: bool,
    held: Vec<Incoming>,
}

impl Inbox {
    /// A connection begins: what comes live is held until the pages have caught up. Returns the `sinceSeq` to ask for,
    /// none at the first join.
    pub fn connected(&mut self) -> Option<u64> {
        self.catching_up = true;
        self.held.clear();
        self.cursor
    }

    /// Takes a live message; returns it if it is to be delivered now. A repeat within one connection is delivered too:
    /// it is the checker's to complain.
    pub fn live(&mut self, message: Incoming) -> Option<Incoming> {
        if self.catching_up {
            self.held.push(message);
            return None;
        }
        self.cursor = self.cursor.max(Some(message.seq));
        Some(message)
    }

    /// Takes a page; returns what it delivers, and the `sinceSeq` of the next page if there is more.
    pub fn page(&mut self, page: Page) -> (Vec<Incoming>, Option<u64>) {
        let seen = self.cursor.unwrap_or(0);
        let mut delivered: Vec<_> = page.messages.into_iter().filter(|message| message.seq > seen).collect();
        if page.has_more
            && let Some(last) = delivered.last().map(|message| message.seq)
        {
            self.cursor = Some(last);
            return (delivered, Some(last));
        }
        // Held messages that stood in a page too came live between two pages: an overlap, not a repeat.
        let head = seen.max(page.last_seq);
        delivered.extend(self.held.drain(..).filter(|message| message.seq > head));
        self.cursor = Some(delivered.last().map_or(head, |message| message.seq.max(head)));
        self.catching_up = false;
        (delivered, None)
    }

    /// Whether the pages have caught up with the live messages.
    pub fn is_live(&self) -> bool {
        !self.catching_up && self.cursor.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(seq: u64) -> Incoming {
        Incoming { seq, sent: None }
    }

    fn page(seqs: &[u64], last_seq: u64, has_more: bool) -> Page {
        Page { messages: seqs.iter().copied().map(message).collect(), last_seq, has_more }
    }

    fn seqs(messages: &[Incoming]) -> Vec<u64> {
        messages.iter().map(|message| message.seq).collect()
    }

    #[test]
    fn the_first_join_asks_for_nothing_older() {
        let mut inbox = Inbox::default();
        assert_eq!(inbox.connected(), None);
        assert!(!inbox.is_live());
        assert_eq!(inbox.page(page(&[], 7, false)), (vec![], None));
        assert!(inbox.is_live());
        assert_eq!(inbox.live(message(8)), Some(message(8)));
        assert_eq!(inbox.connected(), Some(8));
    }

    #[test]
    fn a_reconnect_pages_what_was_missed_and_then_releases_what_came_meanwhile() {
        let mut inbox = Inbox::default();
        inbox.connected();
        inbox.page(page(&[], 1, false));
        assert_eq!(inbox.connected(), Some(1));
        let (first, next) = inbox.page(page(&[2, 3], 4, true));
        assert_eq!((seqs(&first), next), (vec![2, 3], Some(3)));
        assert_eq!(inbox.live(message(5)), None);
        assert_eq!(inbox.live(message(6)), None);
        let (second, next) = inbox.page(page(&[4, 5], 5, false));
        assert_eq!((seqs(&second), next), (vec![4, 5, 6], None));
        assert_eq!(inbox.connected(), Some(6));
    }

    #[test]
    fn a_live_repeat_is_left_for_the_checker_to_find() {
        let mut inbox = Inbox::default();
        inbox.connected();
        inbox.page(page(&[], 0, false));
        assert!(inbox.live(message(1)).is_some());
        assert!(inbox.live(message(1)).is_some());
    }

    #[test]
    fn an_empty_page_that_promises_more_ends_the_paging() {
        let mut inbox = Inbox::default();
        inbox.connected();
        assert_eq!(inbox.page(page(&[], 3, true)), (vec![], None));
    }
}

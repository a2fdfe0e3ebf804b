//! What one user receives: live messages, and after a reconnect the pages it missed, merged in seq order. Pure.

use crate::identity::{Side, Tag};

/// A message as it reached a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incoming {
    /// Its place in the match.
    pub seq: u32,
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

/// What a user has seen of its match.
#[derive(Debug, Default)]
pub struct Inbox {
    cursor: Option<u32>,
    catching_up: bool,
    held: Vec<Incoming>,
}

impl Inbox {
    /// A connection begins: what comes live is held until the pages have caught up. Returns the `sinceSeq` to ask for,
    /// none at the first join.
    pub fn connected(&mut self) -> Option<u32> {
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

    /// Takes a page of a join, ascending, that was read when `last_seq` was the head; returns what it delivers, and the
    /// `sinceSeq` of the next page if there is more.
    pub fn page(&mut self, page: &[Incoming], last_seq: u32, has_more: bool) -> (Vec<Incoming>, Option<u32>) {
        let seen = self.cursor.unwrap_or(0);
        let mut delivered: Vec<_> = page.iter().copied().filter(|message| message.seq > seen).collect();
        if has_more && let Some(last) = delivered.last().map(|message| message.seq) {
            self.cursor = Some(last);
            return (delivered, Some(last));
        }
        // Held messages that stood in a page too came live between two pages: an overlap, not a repeat.
        let head = seen.max(last_seq);
        delivered.extend(self.held.drain(..).filter(|message| message.seq > head));
        self.cursor = Some(delivered.last().map_or(head, |message| message.seq.max(head)));
        self.catching_up = false;
        (delivered, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(seq: u32) -> Incoming {
        Incoming { seq, sent: None }
    }

    /// What a page delivers, and where the next one begins.
    fn page(inbox: &mut Inbox, seqs: &[u32], last_seq: u32, has_more: bool) -> (Vec<u32>, Option<u32>) {
        let messages: Vec<_> = seqs.iter().copied().map(message).collect();
        let (delivered, next) = inbox.page(&messages, last_seq, has_more);
        (delivered.iter().map(|message| message.seq).collect(), next)
    }

    #[test]
    fn the_first_join_asks_for_nothing_older() {
        let mut inbox = Inbox::default();
        assert_eq!(inbox.connected(), None);
        assert!(inbox.catching_up);
        assert_eq!(page(&mut inbox, &[], 7, false), (vec![], None));
        assert!(!inbox.catching_up);
        assert_eq!(inbox.live(message(8)), Some(message(8)));
        assert_eq!(inbox.connected(), Some(8));
    }

    #[test]
    fn a_reconnect_pages_what_was_missed_and_then_releases_what_came_meanwhile() {
        let mut inbox = Inbox::default();
        inbox.connected();
        page(&mut inbox, &[], 1, false);
        assert_eq!(inbox.connected(), Some(1));
        assert_eq!(page(&mut inbox, &[2, 3], 4, true), (vec![2, 3], Some(3)));
        assert_eq!(inbox.live(message(5)), None);
        assert_eq!(inbox.live(message(6)), None);
        assert_eq!(page(&mut inbox, &[4, 5], 5, false), (vec![4, 5, 6], None));
        assert_eq!(inbox.connected(), Some(6));
    }

    #[test]
    fn a_live_repeat_is_left_for_the_checker_to_find() {
        let mut inbox = Inbox::default();
        inbox.connected();
        page(&mut inbox, &[], 0, false);
        assert!(inbox.live(message(1)).is_some());
        assert!(inbox.live(message(1)).is_some());
    }

    #[test]
    fn an_empty_page_that_promises_more_ends_the_paging() {
        let mut inbox = Inbox::default();
        inbox.connected();
        assert_eq!(page(&mut inbox, &[], 3, true), (vec![], None));
    }
}

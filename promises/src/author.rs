//! What one client has sent in one match, until nothing more can come of it.

use std::collections::{HashSet, VecDeque};

use crate::{history::Known, stored::Origin};

/// A message that may still be sent again, answered or seen for the first time.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// What anybody knew when it was first sent.
    pub(crate) known: Known,
    /// Where it is stored; 0 while nobody knows.
    pub(crate) seq: u32,
    pub(crate) origin: Origin,
    /// How often it was sent.
    attempts: u16,
    /// The connection on which it was sent.
    connection: u32,
    /// Which variants were sent, one bit each.
    variants: u8,
    /// Which variants were refused as conflicting with another, one bit each.
    pub(crate) conflicts: u8,
    pub(crate) acked: bool,
    /// Acks that said it was not stored before.
    pub(crate) originals: u8,
    settled: bool,
    /// The sender was told only that it is a stranger: an earlier try may have been stored before.
    withheld: bool,
}

/// One sending of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sending {
    pub(crate) index: u32,
    pub(crate) variant: u8,
    pub(crate) origin: Origin,
    /// Whether it went over the socket.
    pub(crate) is_emit: bool,
    pub(crate) connection: u32,
    pub(crate) known: Known,
}

impl Sending {
    fn first(self) -> Sent {
        Sent {
            known: self.known,
            seq: 0,
            origin: self.origin,
            attempts: 0,
            connection: self.connection,
            variants: 0,
            conflicts: 0,
            acked: false,
            originals: 0,
            settled: false,
            withheld: false,
        }
    }
}

/// The sends of one client in one match.
#[derive(Debug, Clone, Default)]
pub(crate) struct Author {
    /// The index of the oldest that is kept.
    first: u32,
    sends: VecDeque<Sent>,
    /// Those that were refused for good.
    refused: HashSet<u32>,
    /// The last message that was sent once only: on which connection, and its seq.
    last_single: Option<(u32, u32)>,
}

impl Author {
    /// A message is sent, for the first time or again.
    pub(crate) fn emitted(&mut self, sending: Sending) {
        let Some(at) = sending.index.checked_sub(self.first) else { return };
        while self.sends.len() <= at as usize {
            self.sends.push_back(sending.first());
        }
        let sent = &mut self.sends[at as usize];
        sent.origin = sent.origin.or(sending.origin);
        // What was saved by REST has no place among what was emitted.
        sent.attempts = sent.attempts.saturating_add(if sending.is_emit { 1 } else { 2 });
        sent.variants |= 1 << sending.variant;
    }

    /// The message, if it is kept.
    pub(crate) fn sent(&mut self, index: u32) -> Option<&mut Sent> {
        self.sends.get_mut(index.checked_sub(self.first)? as usize)
    }

    /// The message is refused, for good.
    pub(crate) fn refuse(&mut self, index: u32) {
        self.refused.insert(index);
    }

    /// The outcome of the message is kept from its sender, who is a stranger now.
    pub(crate) fn withhold(&mut self, index: u32) {
        if let Some(sent) = self.sent(index) {
            sent.withheld = true;
        }
    }

    /// Whether the message was refused for good.
    pub(crate) fn was_refused(&self, index: u32) -> bool {
        self.refused.contains(&index)
    }

    /// Whether all that can be known of the message was known before.
    pub(crate) fn is_past(&self, index: u32) -> bool {
        index < self.first
    }

    /// How many messages were sent, repeats aside.
    pub(crate) fn sent_in_all(&self) -> u32 {
        self.first + u32::try_from(self.sends.len()).unwrap_or(u32::MAX)
    }

    /// How many messages may still change.
    pub(crate) fn open(&self) -> usize {
        self.sends.iter().filter(|sent| !sent.is_answered()).count()
    }

    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        self.sends.len()
    }

    /// Nothing more can come of the message.
    pub(crate) fn settle(&mut self, index: u32) {
        if let Some(sent) = self.sent(index) {
            sent.settled = !sent.withheld;
        }
    }

    /// The oldest message, if nothing more can come of it, or at the end; what is wrong with its place.
    pub(crate) fn pop(&mut self, at_end: bool) -> Option<(u32, Sent, Option<String>)> {
        self.sends.front().filter(|sent| sent.settled || at_end)?;
        let sent = self.sends.pop_front()?;
        let index = self.first;
        self.first += 1;
        let misplaced = if sent.attempts == 1 && sent.seq != 0 { self.place(index, &sent) } else { None };
        Some((index, sent, misplaced))
    }

    /// What one connection emitted once keeps its order.
    fn place(&mut self, index: u32, sent: &Sent) -> Option<String> {
        let before = self.last_single.replace((sent.connection, sent.seq));
        let (_, after) = before.filter(|(connection, seq)| *connection == sent.connection && *seq > sent.seq)?;
        Some(format!("message {index} is at {}, one emitted before it at {after}", sent.seq))
    }
}

impl Sent {
    /// Whether this variant was sent.
    pub(crate) fn has_variant(&self, variant: u8) -> bool {
        self.variants >> variant & 1 == 1
    }

    /// Whether a variant other than this one was sent.
    pub(crate) fn has_other_variant(&self, variant: u8) -> bool {
        self.variants & !(1 << variant) != 0
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.settled
    }

    /// Whether the sender was told all that it will be.
    pub(crate) fn is_answered(&self) -> bool {
        self.settled || self.withheld
    }
}

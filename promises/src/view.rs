//! What one client has seen of one match: how far it was read, and what was left out on the way.

use std::collections::VecDeque;

use crate::stored::{Origin, Stored};

/// One client's view of a match.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    /// Counts the client's pids: a message of an earlier one is not the socket's own any more.
    pub(crate) session: u16,
    /// Counts the client's pages. A page is one device for calls, also when it gets another pid: then it takes over
    /// what it had.
    pub(crate) page: u16,
    /// Counts the client's connections.
    pub(crate) connection: u32,
    pub(crate) joined: bool,
    /// Everything up to this was delivered, was left out, or was left to paging.
    pub(crate) cursor: u32,
    /// What was left out before anybody knew what it is, with the session that it was left out in.
    left_out: VecDeque<(u32, u16)>,
    /// How many milestones were told to the open chat, by its join or by their announcements.
    pub(crate) told: u16,
    /// Which milestones this connection, or this client, had the announcement of, one bit each.
    pub(crate) announced: u64,
}

impl View {
    /// A connection was accepted.
    pub(crate) fn connected(&mut self, recovered: bool) {
        self.connection += 1;
        // A recovered chat is open again as soon as its place in the cursor is known.
        self.joined = false;
        if !recovered {
            self.session = self.session.wrapping_add(1);
            self.told = 0;
        }
    }

    /// The chat is open: what lies below `last_seq` is left to paging.
    pub(crate) fn joined(&mut self, last_seq: u32, told: u16) {
        self.cursor = if self.joined { self.cursor.max(last_seq) } else { last_seq };
        self.joined = true;
        self.told = self.told.max(told);
    }

    /// Moves on to `seq`; what lies between was left out.
    pub(crate) fn advance(&mut self, seq: u32) {
        for left_out in self.cursor + 1..seq {
            self.left_out.push_back((left_out, self.session));
        }
        self.cursor = self.cursor.max(seq);
    }

    /// A message was given; what is wrong with that.
    pub(crate) fn received(&mut self, seq: u32) -> Option<String> {
        if !self.joined {
            return Some(format!("{seq} came to a chat that is not open"));
        }
        if seq <= self.cursor {
            return Some(format!("{seq} came after {}: twice, or out of order", self.cursor));
        }
        self.advance(seq);
        None
    }

    /// What was left out wrongly, as far as it is known by now what it was; the rest stays. `slot` is the client's.
    pub(crate) fn wrongly_left_out(&mut self, slot: u8, stored: &[Stored], sides: &[u8]) -> Vec<u32> {
        let mut wrong = Vec::new();
        self.left_out.retain(|(seq, session)| {
            let message = stored.get(*seq as usize - 1).copied().unwrap_or(Stored::NOTHING);
            let Some(tag) = message.tag() else { return true };
            let is_own = match message.origin() {
                Origin::Session(origin) => tag.slot == slot && origin == *session,
                Origin::Rest | Origin::Unclear => side(sides, tag.slot) == side(sides, slot),
            };
            if !is_own {
                wrong.push(*seq);
            }
            false
        });
        wrong
    }

    /// How much was left out that nobody knows yet.
    pub(crate) fn unexplained(&self) -> usize {
        self.left_out.len()
    }
}

fn side(sides: &[u8], slot: u8) -> Option<u8> {
    sides.get(usize::from(slot)).copied()
}

/// Whether a message that this client was given is one that it should not be given: its own.
pub(crate) fn is_own(view: &View, slot: u8, message: Stored, sides: &[u8]) -> bool {
    let Some(tag) = message.tag() else { return false };
    match message.origin() {
        Origin::Session(origin) => tag.slot == slot && origin == view.session,
        Origin::Rest => side(sides, tag.slot) == side(sides, slot),
        Origin::Unclear => false,
    }
}

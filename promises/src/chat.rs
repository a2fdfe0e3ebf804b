//! The check of one match: entries go in as they happen. What is settled is forgotten but for eight bytes a message.

use crate::{
    author::Author,
    calls::{Calls, Device},
    history::{self, Entry, Event, Known, Reason},
    promise::Promise,
    recent::Recent,
    stored::Stored,
    tally::{Tally, Violation},
    view::View,
};

mod deliveries;
mod sends;

/// The side of a guest: somebody whom the app server makes a member, and removes again.
pub const GUEST: u8 = 3;

/// What the matches of a run are held to, and how much of them is remembered.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The messages that reach milestones, ascending, at most 64.
    pub milestones: &'static [u32],
    /// A client is told of a milestone once in its life, and not once a connection.
    pub told_once: bool,
    /// Every message has a final answer at the end.
    pub all_answered: bool,
    /// Entries that are kept for the traces of violations.
    pub remembered: usize,
}

/// Whether the match is closed, as far as anybody knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Closing {
    #[default]
    Open,
    /// The app server has asked for it.
    Asked,
    /// Somebody was told that it is.
    Closed,
}

/// What is known of one match.
#[derive(Debug, Clone)]
pub struct Chat {
    id: String,
    pub(crate) rules: Rules,
    /// The side of each client.
    pub(crate) sides: Vec<u8>,
    /// By seq, from 1.
    pub(crate) stored: Vec<Stored>,
    /// The highest seq that was acked or seen.
    highest: u32,
    /// Messages that were acked.
    acked: u64,
    authors: Vec<Author>,
    pub(crate) views: Vec<View>,
    calls: Calls,
    pub(crate) closing: Closing,
    /// The app server has asked for the end of the match and was not told that it is closed.
    pub(crate) close_is_open: bool,
    /// When the message that reaches the first milestone was first known to be stored.
    reached_at_ms: Option<u32>,
    recent: Recent,
    pub(crate) tally: Tally,
    now_ms: u32,
}

impl Chat {
    /// An empty match of clients, each on a side: 0 or 1 for the members, [`GUEST`], others for strangers.
    pub fn new(id: String, sides: Vec<u8>, rules: Rules) -> Self {
        Self {
            id,
            rules,
            stored: Vec::new(),
            highest: 0,
            acked: 0,
            authors: sides.iter().map(|_| Author::default()).collect(),
            views: sides.iter().map(|_| View::default()).collect(),
            calls: Calls::default(),
            closing: Closing::Open,
            close_is_open: false,
            reached_at_ms: None,
            recent: Recent::new(rules.remembered),
            tally: Tally::default(),
            now_ms: 0,
            sides,
        }
    }

    /// What anybody knows of the match by now.
    pub fn known(&self) -> Known {
        Known { highest: self.highest, closed: self.closing == Closing::Closed }
    }

    /// How many messages were acked.
    pub fn acked(&self) -> u64 {
        self.acked
    }

    /// When the first milestone's message was first known to be stored, in milliseconds.
    pub fn reached_at_ms(&self) -> Option<u32> {
        self.reached_at_ms
    }

    /// How many messages may still be sent again or answered.
    pub fn open(&self) -> usize {
        self.authors.iter().map(Author::open).sum()
    }

    /// How many messages are kept whole, open or not: those that came after an open one wait for it.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        self.authors.iter().map(Author::kept).sum()
    }

    /// What was checked and found so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Whether a client that has the chat open has been given all that is known, and told of the milestones.
    pub fn has_caught_up(&self, slot: u8) -> bool {
        let view = &self.views[usize::from(slot)];
        let rest = (view.cursor + 1..=self.highest).all(|seq| self.may_be_left_out(slot, seq));
        view.joined && rest && view.told >= self.due(self.highest)
    }

    /// How many milestones a match of so many messages has reached.
    pub(crate) fn due(&self, messages: u32) -> u16 {
        let reached = self.rules.milestones.iter().take_while(|threshold| **threshold <= messages).count();
        u16::try_from(reached).unwrap_or(u16::MAX)
    }

    /// How far an open chat was read by a client, and how many of its milestones were told; none if it is not open.
    pub fn place(&self, slot: u8) -> Option<(u32, u16)> {
        let view = &self.views[usize::from(slot)];
        view.joined.then_some((view.cursor, view.told))
    }

    /// Whether a client has the chat open.
    pub fn is_joined(&self, slot: u8) -> bool {
        self.views[usize::from(slot)].joined
    }

    /// Whether the app server has asked for an end of the match: who has it open will be told.
    pub fn is_to_close(&self) -> bool {
        self.closing != Closing::Open
    }

    /// Whether the app server, or somebody who has the chat open, is still to be told that the match is closed.
    pub fn awaits_close(&self) -> bool {
        let is_open_to_somebody = self.views.iter().any(|view| view.joined);
        self.close_is_open || (self.closing == Closing::Closed && is_open_to_somebody)
    }

    /// The match is over: little is kept until the end.
    pub fn shrink(&mut self) {
        self.recent.shrink();
        self.stored.shrink_to_fit();
    }

    /// The latest of what happened to a client.
    pub fn about(&self, slot: u8) -> Vec<String> {
        self.recent.about(slot)
    }

    /// Something happened.
    pub fn observe(&mut self, entry: Entry) {
        self.now_ms = entry.at_ms;
        self.recent.push(entry);
        let slot = entry.slot;
        match entry.event {
            Event::Emitted { tag, route } => self.emitted(slot, tag, route),
            Event::Acked { tag, seq, duplicate } => self.acked_with(tag, seq, duplicate),
            Event::Refused { tag, code } => self.refused(tag, code),
            Event::Settled { index } => {
                self.authors[usize::from(slot)].settle(index);
                self.forget(slot, false);
            }
            Event::CallAccepted { call } => self.call_accepted(slot, call),
            Event::CallEnded { call, reason } => self.call_ended(slot, call, reason),
            Event::CloseAsked => self.close_asked(),
            Event::Closed => (self.closing, self.close_is_open) = (Closing::Closed, false),
            _ => self.view_changed(slot, entry.event),
        }
    }

    /// Whether a client is a member only sometimes.
    pub(crate) fn is_guest(&self, slot: u8) -> bool {
        self.sides.get(usize::from(slot)) == Some(&GUEST)
    }

    fn call_accepted(&mut self, slot: u8, call: u64) {
        let before = self.calls.accepted(call, self.device(slot));
        let what = before.map(|other| format!("client {} had accepted it on another device", other.slot));
        self.judge(Promise::Calls, slot, what);
    }

    fn call_ended(&mut self, slot: u8, call: u64, reason: Reason) {
        let before = self.calls.ended(call, self.device(slot), reason);
        self.judge(Promise::Calls, slot, before.map(|other| format!("another end was told: {other}")));
    }

    fn device(&self, slot: u8) -> Device {
        let &View { page, session, .. } = &self.views[usize::from(slot)];
        Device { slot, page, session }
    }

    fn close_asked(&mut self) {
        self.close_is_open = true;
        if self.closing == Closing::Open {
            self.closing = Closing::Asked;
        }
    }

    /// Somebody is told that the match is closed.
    fn told_closed(&mut self, slot: u8) {
        let is_open = self.closing == Closing::Open;
        self.judge(Promise::Closed, slot, is_open.then(|| "closed, though nobody had asked for that".to_owned()));
        self.closing = Closing::Closed;
    }

    pub(crate) fn judge(&mut self, promise: Promise, slot: u8, wrong: Option<String>) {
        self.tally.checked(promise, 1);
        if let Some(what) = wrong {
            self.broken(promise, slot, what);
        }
    }

    /// A promise was not kept.
    pub(crate) fn broken(&mut self, promise: Promise, slot: u8, what: String) {
        let trace = self.recent.trace(slot);
        let violation = Violation { promise, at: history::ms(self.now_ms), scene: self.id.clone(), what, trace };
        self.tally.violated(violation);
    }
}

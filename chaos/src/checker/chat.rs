//! The checker of one match: entries go in as they happen, and what is settled is forgotten but for eight bytes a message.

use super::{
    author::Author,
    calls::{Calls, Device},
    recent::Recent,
    stored::Stored,
    tally::{Promise, Tally, Violation},
    view::View,
};
use crate::history::{self, Entry, Event, Known, Reason};

mod deliveries;
mod sends;

/// The message that reaches the milestone.
pub const MILESTONE: u32 = 100;

/// Whether the match is closed, as far as anybody knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Closing {
    #[default]
    Open,
    /// The app server has asked for it.
    Asked,
    /// Somebody was told that it is.
    Closed,
}

/// What is known of one match.
#[derive(Debug)]
pub struct Chat {
    id: String,
    /// The side of each client.
    pub(super) sides: Vec<u8>,
    /// By seq, from 1.
    pub(super) stored: Vec<Stored>,
    /// The highest seq that was acked or seen.
    highest: u32,
    /// Messages that were acked.
    acked: u64,
    pub(super) authors: Vec<Author>,
    pub(super) views: Vec<View>,
    calls: Calls,
    pub(super) closing: Closing,
    /// The app server has asked for the end of the match and was not told that it is closed.
    pub(super) close_is_open: bool,
    /// When the message that reaches the milestone was first known to be stored.
    reached_at_ms: Option<u32>,
    recent: Recent,
    pub(super) tally: Tally,
    now_ms: u32,
}

impl Chat {
    /// An empty match of clients, each on side 0 or 1.
    pub fn new(id: String, sides: Vec<u8>) -> Self {
        Self {
            id,
            stored: Vec::new(),
            highest: 0,
            acked: 0,
            authors: sides.iter().map(|_| Author::default()).collect(),
            views: sides.iter().map(|_| View::default()).collect(),
            calls: Calls::default(),
            closing: Closing::Open,
            close_is_open: false,
            reached_at_ms: None,
            recent: Recent::default(),
            tally: Tally::default(),
            now_ms: 0,
            sides,
        }
    }

    /// The match.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What anybody knows of the match by now.
    pub fn known(&self) -> Known {
        Known { highest: self.highest, closed: self.closing == Closing::Closed }
    }

    /// How many messages were acked.
    pub fn acked(&self) -> u64 {
        self.acked
    }

    /// When the milestone's message was first known to be stored, in milliseconds.
    pub fn reached_at_ms(&self) -> Option<u32> {
        self.reached_at_ms
    }

    /// How many messages may still be sent again or answered.
    pub fn open(&self) -> usize {
        self.authors.iter().map(Author::open).sum()
    }

    /// Violations found so far.
    pub fn violations(&self) -> u64 {
        self.tally.violations()
    }

    /// Whether a client that has the chat open has been given all that is known, and told of the milestone.
    pub fn has_caught_up(&self, slot: u8) -> bool {
        let view = &self.views[usize::from(slot)];
        let rest = (view.cursor + 1..=self.highest).all(|seq| self.may_be_left_out(slot, seq));
        view.joined && rest && (view.told || self.highest < MILESTONE)
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
            Event::CloseAsked => (self.closing, self.close_is_open) = (Closing::Asked, true),
            Event::Closed => (self.closing, self.close_is_open) = (Closing::Closed, false),
            _ => self.view_changed(slot, entry.event),
        }
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

    /// Somebody is told that the match is closed.
    fn told_closed(&mut self, slot: u8) {
        let is_open = self.closing == Closing::Open;
        self.judge(Promise::Closed, slot, is_open.then(|| "closed, though nobody had asked for that".to_owned()));
        self.closing = Closing::Closed;
    }

    pub(super) fn judge(&mut self, promise: Promise, slot: u8, wrong: Option<String>) {
        self.tally.checked(promise, 1);
        if let Some(what) = wrong {
            self.broken(promise, slot, what);
        }
    }

    /// A promise was not kept.
    pub(super) fn broken(&mut self, promise: Promise, slot: u8, what: String) {
        let trace = self.recent.trace(slot);
        let violation = Violation { promise, at: history::ms(self.now_ms), scene: self.id.clone(), what, trace };
        self.tally.violated(violation);
    }
}

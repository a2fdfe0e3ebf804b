//! What a run is held to: the checker of each match, and the first promise that was broken.

use std::cell::{Cell, RefCell};

use promises::{Chat, Entry, Event, Known, MatchFacts, Promise, Rules, Violation};

use crate::{
    cast::{Cast, MILESTONES},
    executor::Sim,
    schedule::{CHATS, CLIENTS},
};

const RULES: Rules = Rules { milestones: &MILESTONES, told_once: true, all_answered: true, remembered: 64 };

/// What was seen so far.
pub(crate) struct Promises {
    sim: Sim,
    chats: RefCell<Vec<Chat>>,
    violation: RefCell<Option<Violation>>,
    acked: Cell<usize>,
    delivered: Cell<usize>,
}

impl Promises {
    pub(crate) fn new(sim: &Sim) -> Self {
        let sides = |chat| (0..CLIENTS).map(|slot| Cast::side(chat, slot)).collect();
        let chat = |chat| Chat::new(format!("match {chat}"), sides(chat), RULES);
        Self {
            sim: sim.clone(),
            chats: RefCell::new((0..CHATS).map(chat).collect()),
            violation: RefCell::default(),
            acked: Cell::new(0),
            delivered: Cell::new(0),
        }
    }

    /// Something happened in a match to a client, or to the app server.
    pub(crate) fn note(&self, chat: usize, slot: u8, event: Event) {
        match event {
            Event::Acked { .. } => self.acked.set(self.acked.get() + 1),
            Event::Received { .. } => self.delivered.set(self.delivered.get() + 1),
            _ => {}
        }
        let at_ms = u32::try_from(self.sim.now().as_millis()).unwrap_or(u32::MAX);
        let mut chats = self.chats.borrow_mut();
        chats[chat].observe(Entry { at_ms, slot, event });
        if let Some(violation) = chats[chat].tally().kept().next().cloned() {
            self.broken(violation);
        }
    }

    /// What anybody knows of a match by now.
    pub(crate) fn known(&self, chat: usize) -> Known {
        self.chats.borrow()[chat].known()
    }

    /// A connection was accepted. A recovered one goes on where the client was.
    pub(crate) fn connected(&self, slot: u8, recovered: bool) {
        for chat in 0..CHATS {
            let place = self.chats.borrow()[chat].place(slot);
            self.note(chat, slot, Event::Connected { recovered });
            if let Some((seq, told)) = place.filter(|_| recovered) {
                self.note(chat, slot, Event::Resumed { seq, told });
            }
        }
    }

    /// Holds `kept` against a promise.
    pub(crate) fn check(&self, promise: Promise, kept: bool, how: impl FnOnce() -> String) {
        if let Some(violation) = self.unless(promise, kept, how) {
            self.broken(violation);
        }
    }

    /// The violation, unless the promise is kept.
    pub(crate) fn unless(&self, promise: Promise, is_kept: bool, how: impl FnOnce() -> String) -> Option<Violation> {
        let (at, scene) = (self.sim.now(), "what a client knows");
        (!is_kept).then(|| Violation { promise, at, scene: scene.to_owned(), what: how(), trace: Vec::new() })
    }

    /// A promise was broken; the first one ends the run.
    pub(crate) fn broken(&self, violation: Violation) {
        if self.violation.borrow().is_none() {
            self.sim.trace(|| format!("BROKEN {violation}"));
            *self.violation.borrow_mut() = Some(violation);
            self.sim.stop();
        }
    }

    /// The first promise that was broken.
    pub(crate) fn violation(&self) -> Option<Violation> {
        self.violation.borrow().clone()
    }

    /// Messages acked, messages delivered.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.acked.get(), self.delivered.get())
    }

    /// What the matches' checkers would find if this were the end, by the facts of each.
    pub(crate) fn first_unmet(&self, facts: impl Fn(usize) -> MatchFacts) -> Option<Violation> {
        let chats = self.chats.borrow();
        let unmet = |(number, chat): (usize, &Chat)| chat.clone().conclude(&facts(number)).kept().next().cloned();
        chats.iter().enumerate().find_map(unmet)
    }
}

/// A seq as the checker counts; what is none is 0.
pub(crate) fn seq(seq: i64) -> u32 {
    u32::try_from(seq).unwrap_or_default()
}

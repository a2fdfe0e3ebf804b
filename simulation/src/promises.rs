//! The promises, numbered as the project's design has them, and the first one that was broken.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use proto::chat::{Message, Stored};

use crate::{executor::Sim, store::Store, world::World};

/// What the system is held to, by the names that `chaos` has for it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// 1. What was acked is stored, at the seq of the ack, with the body that was sent.
    Durable,
    /// 2. A message is stored once per clientId; the first body wins.
    Once,
    /// 3. seq is gapless and keeps the order of each socket's emits.
    Ordered,
    /// 4. Joined sockets get each message once and in order, never their own.
    Delivered,
    /// 5. A milestone is announced once to who has joined, at most once to others.
    Milestones,
    /// 6. Strangers learn nothing.
    Secret,
    /// 7. Whatever is asked is answered, and everything comes right within a bounded time.
    Answered,
}

impl Promise {
    /// The violation, unless it is kept.
    pub(crate) fn unless(self, is_kept: bool, how: impl FnOnce() -> String) -> Option<Violation> {
        (!is_kept).then(|| Violation { promise: self, how: how() })
    }
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub promise: Promise,
    /// How.
    pub how: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "promise {} ({:?}): {}", self.promise as usize + 1, self.promise, self.how)
    }
}

/// What was seen so far.
pub(crate) struct Promises {
    sim: Sim,
    violation: RefCell<Option<Violation>>,
    /// The keys and bodies that were stored.
    keys: RefCell<BTreeSet<(String, String, String)>>,
    bodies: RefCell<BTreeSet<String>>,
    /// How often each message was acked as new.
    fresh: RefCell<BTreeMap<(String, String), usize>>,
    acked: Cell<usize>,
    delivered: Cell<usize>,
}

impl Promises {
    pub(crate) fn new(sim: &Sim) -> Self {
        Self {
            sim: sim.clone(),
            violation: RefCell::default(),
            keys: RefCell::default(),
            bodies: RefCell::default(),
            fresh: RefCell::default(),
            acked: Cell::new(0),
            delivered: Cell::new(0),
        }
    }

    /// Holds `kept` against a promise.
    pub(crate) fn check(&self, promise: Promise, kept: bool, how: impl FnOnce() -> String) {
        if kept || self.violation.borrow().is_some() {
            return;
        }
        let violation = Violation { promise, how: how() };
        self.sim.trace(|| format!("BROKEN {violation}"));
        *self.violation.borrow_mut() = Some(violation);
        self.sim.stop();
    }

    /// The first promise that was broken.
    pub(crate) fn violation(&self) -> Option<Violation> {
        self.violation.borrow().clone()
    }

    /// Messages acked, messages delivered.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.acked.get(), self.delivered.get())
    }

    /// A message is being stored as the one after `before` others of its match.
    pub(crate) fn stored(&self, message: &Message, before: usize) {
        let Message { match_id, seq, sender_id, client_id, body, .. } = message;
        self.sim.trace(|| format!("stored  {match_id}:{seq} {client_id} of {sender_id}"));
        self.check(Promise::Ordered, usize::try_from(*seq) == Ok(before + 1), || {
            format!("{match_id}:{seq} is stored after {before} messages")
        });
        let key = (match_id.clone(), sender_id.clone(), client_id.clone());
        let is_new = self.keys.borrow_mut().insert(key) && self.bodies.borrow_mut().insert(body.clone());
        self.check(Promise::Once, is_new, || format!("{client_id} with body {body} is stored twice"));
    }

    /// A client was told that its message is stored.
    pub(crate) fn acked(&self, store: &Store, (chat, sender, body): (&proto::MatchId, &str, &str), stored: &Stored) {
        self.acked.set(self.acked.get() + 1);
        let client_id = &stored.client_id;
        let kept = store.committed(chat, sender, client_id);
        let is_same = kept.as_ref().is_some_and(|kept| kept.seq == stored.seq && kept.body == body);
        self.check(Promise::Durable, is_same, || {
            format!("{client_id} of {sender} was acked as {chat}:{}, but stored is {kept:?}", stored.seq)
        });
        if !stored.duplicate {
            let mut fresh = self.fresh.borrow_mut();
            let count = fresh.entry((sender.to_owned(), client_id.clone())).or_default();
            *count += 1;
            self.check(Promise::Once, *count == 1, || format!("{client_id} was acked as new {count} times"));
        }
    }

    /// A message was delivered.
    pub(crate) fn delivered(&self) {
        self.delivered.set(self.delivered.get() + 1);
    }

    /// What does not hold after all the time there was.
    pub(crate) fn check_unmet(&self, unmet: Option<Violation>) {
        if let Some(Violation { promise, how }) = unmet {
            self.check(promise, false, || how);
        }
    }

    /// A milestone that was reached and is not recorded.
    pub(crate) fn first_missing_milestone(world: &World) -> Option<Violation> {
        world.cast.chats.iter().find_map(|chat| {
            let (head, recorded, _) = world.store.head(&chat.id);
            let is_complete = world.cast.milestones.reached(head).len() == recorded;
            Promise::Milestones
                .unless(is_complete, || format!("{} has {head} messages and {recorded} milestones", chat.id))
        })
    }
}

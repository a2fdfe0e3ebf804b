//! What a run is held to: the checker of each match, what the store holds, and the first promise that was broken.

use std::cell::{Cell, RefCell};

use promises::{APP_SERVER, Chat, Entry, Event, Known, MatchFacts, MilestoneRow, Promise, Row, Rules, Tag, Violation};
use proto::chat::Message;

use crate::{
    cast::{Cast, MILESTONES},
    executor::Sim,
    schedule::{CHATS, CLIENTS},
    world::World,
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
        let chat =
            |chat| Chat::new(format!("match {chat}"), (0..CLIENTS).map(|of| Cast::side(chat, of)).collect(), RULES);
        Self {
            sim: sim.clone(),
            chats: RefCell::new((0..CHATS).map(chat).collect()),
            violation: RefCell::default(),
            acked: Cell::new(0),
            delivered: Cell::new(0),
        }
    }

    /// Something happened to a client in a match.
    pub(crate) fn note(&self, chat: usize, client: usize, event: Event) {
        match event {
            Event::Acked { .. } => self.acked.set(self.acked.get() + 1),
            Event::Received { .. } => self.delivered.set(self.delivered.get() + 1),
            _ => {}
        }
        let slot = u8::try_from(client).unwrap_or(APP_SERVER);
        let mut chats = self.chats.borrow_mut();
        chats[chat].observe(Entry { at_ms: self.now_ms(), slot, event });
        if let Some(violation) = chats[chat].tally().kept().next().cloned() {
            self.break_with(violation);
        }
    }

    /// The app server did something in a match.
    pub(crate) fn note_app(&self, chat: usize, event: Event) {
        self.note(chat, usize::from(APP_SERVER), event);
    }

    /// What anybody knows of a match by now.
    pub(crate) fn known(&self, chat: usize) -> Known {
        self.chats.borrow()[chat].known()
    }

    /// A connection was accepted. A recovered one goes on where the client was.
    pub(crate) fn connected(&self, client: usize, recovered: bool) {
        for chat in 0..CHATS {
            let place = self.chats.borrow()[chat].place(u8::try_from(client).unwrap_or(APP_SERVER));
            self.note(chat, client, Event::Connected { recovered });
            if let Some((seq, told)) = place.filter(|_| recovered) {
                self.note(chat, client, Event::Resumed { seq, told });
            }
        }
    }

    /// Holds `kept` against a promise.
    pub(crate) fn check(&self, promise: Promise, kept: bool, how: impl FnOnce() -> String) {
        if let Some(violation) = self.unless(promise, kept, how) {
            self.break_with(violation);
        }
    }

    /// The violation, unless the promise is kept.
    pub(crate) fn unless(&self, promise: Promise, is_kept: bool, how: impl FnOnce() -> String) -> Option<Violation> {
        let scene = || "what a client knows".to_owned();
        let at = self.sim.now();
        (!is_kept).then(|| Violation { promise, at, scene: scene(), what: how(), trace: Vec::new() })
    }

    fn break_with(&self, violation: Violation) {
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

    /// A message is being stored.
    pub(crate) fn stored(&self, message: &Message) {
        let Message { match_id, seq, sender_id, client_id, .. } = message;
        self.sim.trace(|| format!("stored  {match_id}:{seq} {client_id} of {sender_id}"));
    }

    /// What does not hold after all the time there was.
    pub(crate) fn check_unmet(&self, unmet: Option<Violation>) {
        if let Some(violation) = unmet {
            self.break_with(violation);
        }
    }

    /// What the matches' checkers would find if this were the end.
    pub(crate) fn first_unmet(&self, world: &World) -> Option<Violation> {
        let chats = self.chats.borrow();
        chats.iter().enumerate().find_map(|(number, chat)| {
            let tally = chat.clone().conclude(&facts(world, number));
            tally.kept().next().cloned()
        })
    }

    fn now_ms(&self) -> u32 {
        u32::try_from(self.sim.now().as_millis()).unwrap_or(u32::MAX)
    }
}

/// What the store holds of a match.
fn facts(world: &World, chat: usize) -> MatchFacts {
    let id = &world.cast.chats[chat].id;
    let (head, _, is_closed) = world.store.head(id);
    let messages = (1..=head).filter_map(|seq| world.store.message(id, seq));
    let milestones = world.store.milestones(id).into_iter();
    MatchFacts {
        last_seq: seq(head),
        rows: messages
            .map(|message| Row { seq: seq(message.seq), tag: tag_of_message(&world.cast, &message) })
            .collect(),
        milestones: milestones.map(|(threshold, announced)| MilestoneRow { seq: seq(threshold), announced }).collect(),
        is_closed,
        removed: removed(world, chat),
        stored_late: 0,
    }
}

/// The devices of a guest who is no member.
fn removed(world: &World, chat: usize) -> Vec<u8> {
    let of = &world.cast.chats[chat];
    let is_out = |client: &u8| {
        let owner = Cast::owner(usize::from(*client));
        of.guest == Some(owner) && !world.store.concerns(&of.id, &world.cast.users[owner], i64::MAX)
    };
    (0..u8::try_from(CLIENTS).unwrap_or_default()).filter(is_out).collect()
}

/// The clientId of a message.
pub(crate) fn client_id(cast: &Cast, tag: Tag) -> String {
    format!("{}-{}-{}", cast.users[Cast::owner(usize::from(tag.slot))], tag.slot, tag.index)
}

/// The body of a message; another variant contradicts it.
pub(crate) fn body(cast: &Cast, tag: Tag) -> String {
    let denial = if tag.variant == 0 { "" } else { "not " };
    format!("\"{denial}{}\"", client_id(cast, tag))
}

/// Which message has this clientId and this body; none if they do not belong together.
pub(crate) fn tag_of(cast: &Cast, named: &str, content: &str) -> Option<Tag> {
    let mut parts = named.rsplit('-');
    let (index, slot): (u32, u8) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let variants = (0..2).map(|variant| Tag { slot, index, variant });
    let mut variants = variants.filter(|_| usize::from(slot) < CLIENTS);
    variants.find(|tag| body(cast, *tag) == content && client_id(cast, *tag) == named)
}

/// Which message this is; none if it is not what its sender wrote.
pub(crate) fn tag_of_message(cast: &Cast, message: &Message) -> Option<Tag> {
    let tag = tag_of(cast, &message.client_id, &message.body)?;
    is_author(cast, tag, &message.sender_id).then_some(tag)
}

/// Whether the user wrote the message.
pub(crate) fn is_author(cast: &Cast, tag: Tag, user: &str) -> bool {
    cast.users[Cast::owner(usize::from(tag.slot))].as_str() == user
}

/// A seq as the checker counts; what is none is 0.
pub(crate) fn seq(seq: i64) -> u32 {
    u32::try_from(seq).unwrap_or_default()
}

/// Which of the milestones this threshold is, from 1; 0 for none.
pub(crate) fn ord(threshold: i64) -> u16 {
    let at = MILESTONES.iter().position(|seq| i64::from(*seq) == threshold);
    at.and_then(|at| u16::try_from(at + 1).ok()).unwrap_or_default()
}

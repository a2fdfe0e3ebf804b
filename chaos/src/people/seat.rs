//! One client's place in one match: whether its chat is open, and what it has sent there.

use std::{sync::Arc, time::Duration};

use promises::{Event, Known, Promise, Tag, end_of_page, page};
use proto::Code;

use super::{
    outbox::Outbox,
    wire::{self, Ack, Refusal, Told},
};
use crate::crowd::{
    room::{MILESTONE, Pairing, Room},
    world::World,
};

/// A match that starts near its milestone is filled up to this at once.
const EAGER_UNTIL: u32 = MILESTONE - 4;
/// One match in so many starts near its milestone.
const EAGER_EVERY: usize = 3;

/// Whether the chat is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// Closed, to be opened at this time.
    Shut(Duration),
    /// A join is asked for.
    Opening,
    /// Open.
    Open,
    /// A leave is asked for; the chat is opened again at this time.
    Leaving(Duration),
    /// The match is closed.
    Closed,
}

/// One client's place in one match.
#[derive(Debug)]
pub(super) struct Seat {
    /// Tells a client's seats apart, also those it has given up.
    pub(super) key: u32,
    pub(super) pairing: Arc<Pairing>,
    pub(super) generation: u32,
    pub(super) room: Arc<Room>,
    pub(super) slot: u8,
    pub(super) outbox: Outbox,
    pub(super) door: Door,
    /// What the client has seen up to.
    pub(super) known: u32,
    /// The head in the ack of a join whose `chat_joined` is to follow.
    acked_head: Option<u32>,
    /// The pair goes on in another match: this one is only finished.
    pub(super) retired: bool,
    /// Whether the match is to be filled up to near its milestone.
    eager: bool,
}

impl Seat {
    pub(super) fn new(key: u32, pairing: &Arc<Pairing>, slot: u8) -> Option<Self> {
        let generation = pairing.generation();
        Some(Self {
            key,
            generation,
            room: pairing.current()?,
            slot,
            outbox: Outbox::default(),
            door: Door::Shut(Duration::ZERO),
            known: 0,
            acked_head: None,
            retired: false,
            eager: pairing.number().is_multiple_of(EAGER_EVERY) && generation == 0,
            pairing: Arc::clone(pairing),
        })
    }

    /// Whether a message is to be sent without waiting for the mood for it.
    pub(super) fn is_eager(&self) -> bool {
        self.eager && self.known < EAGER_UNTIL && self.outbox.len() < 3 && self.outbox.total() < EAGER_UNTIL
    }

    pub(super) fn tag(&self, index: u32, variant: u8) -> Tag {
        Tag { slot: self.slot, index, variant }
    }

    pub(super) fn note(&self, world: &World, event: Event) {
        self.room.note(world, self.slot, event);
    }

    /// A connection was accepted: with the cursor if it goes on where an earlier one ended, which was lost or ended by
    /// the user.
    pub(super) fn connected(&mut self, world: &World, recovered: Option<&str>, was_lost: bool) {
        self.note(world, Event::Connected { recovered: recovered.is_some() });
        self.acked_head = None;
        let position = recovered.and_then(|offset| wire::position(offset, &self.room.id));
        if let Some((seq, changes)) = position {
            // The milestone is the first change of a match, if it comes; the other one is its end.
            self.note(world, Event::Resumed { seq, told: changes.min(1) });
            self.known = self.known.max(seq);
            self.door = Door::Open;
        } else {
            if recovered.is_some() && self.door == Door::Open {
                self.note(world, Event::Forgotten);
            }
            if self.door != Door::Closed {
                self.door = Door::Shut(world.now());
            }
        }
        self.outbox.connected(world.now(), was_lost);
    }

    /// `chat_joined`.
    pub(super) fn joined(&mut self, world: &World, told: &Told<'_>, known: Known) {
        let acked = self.acked_head.take();
        let what = || format!("chat_joined says {}, the ack of the join before it {acked:?}", told.last_seq);
        let wrong = (acked != Some(told.last_seq)).then(|| (what(), self.room.chat().about(self.slot)));
        world.judge_traced(Promise::Delivered, &self.room.id, wrong);
        let milestones = u16::try_from(told.milestones.len()).unwrap_or(u16::MAX);
        self.note(world, Event::Joined { last_seq: told.last_seq, known, told: milestones });
        self.known = self.known.max(told.last_seq);
        self.door = Door::Open;
    }

    /// A join was refused.
    pub(super) fn join_refused(&mut self, world: &World, refusal: &Refusal) {
        let code = refusal.code().unwrap_or(Code::Internal);
        self.note(world, Event::JoinRefused { code });
        if self.door == Door::Opening {
            let is_closed = code == Code::MatchClosed;
            self.door = if is_closed { Door::Closed } else { Door::Shut(world.now() + wire::pause(refusal)) };
        }
    }

    /// The page of a join; where the next one begins, if there is more.
    pub(super) fn paged(&mut self, world: &World, since: u32, ack: &Ack<'_>) -> Option<u32> {
        self.acked_head = Some(ack.last_seq);
        let last = note_page(&self.room, world, self.slot, since, &ack.messages);
        if ack.has_more && last > since {
            return Some(last);
        }
        if let Some(broken) = end_of_page(since, last, ack.last_seq, ack.has_more) {
            self.note(world, broken);
        }
        None
    }

    /// Takes out what is settled.
    pub(super) fn settle(&mut self, world: &World) {
        while let Some(index) = self.outbox.settled() {
            self.note(world, Event::Settled { index });
        }
    }

    /// Whether nothing of this match is left to be waited for.
    pub(super) fn is_finished(&self) -> bool {
        if !self.retired || self.outbox.len() > 0 {
            return false;
        }
        let chat = self.room.chat();
        // Who has it open when it is closed is told so.
        let may_leave = self.door != Door::Open || (chat.has_caught_up(self.slot) && !chat.is_to_close());
        chat.open() == 0 && may_leave
    }
}

/// Notes the messages of a page that begins after `since`; the last one.
pub(super) fn note_page(room: &Room, world: &World, slot: u8, since: u32, messages: &[wire::Message<'_>]) -> u32 {
    world.progress().received += messages.len() as u64;
    page(since, messages.iter().map(|message| (message.seq, message.tag(room))), |event| room.note(world, slot, event))
}

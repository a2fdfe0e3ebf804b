//! One simulated user on one device, over all of its connections.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use promises::{Event, Known, Promise};
use serde_json::Value;

use super::{
    asks::Asks,
    calls::{Reactions, Step},
    habits::{Habits, Manner},
    rest::Call,
    seat::{Door, Seat},
};
use crate::crowd::{
    room::{Pairing, Room},
    world::{Phase, World},
};

mod acks;
mod actions;
mod events;
mod presence;

/// Messages that a user has open in one match at most; every other user waits for each ack.
const WINDOW: usize = 16;
/// How often it is looked after what has no time of its own: retired matches, dropped acks.
const TEND_EVERY: Duration = Duration::from_millis(200);
/// Matches that a user has given up, and still knows.
const MAX_PAST: usize = 8;

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It broke.
    Closed,
    /// The user ends it, in order or by vanishing.
    HangUp {
        /// Whether the server is told.
        in_order: bool,
    },
}

/// What an ack will be about.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Send { key: u32, index: u32, variant: u8 },
    Join { key: u32, since: u32 },
    Leave { key: u32 },
    Call { key: u32, step: Step, call: u64 },
    Type,
}

/// One simulated user on one device.
pub(super) struct Person {
    world: Arc<World>,
    name: String,
    user: String,
    pub(super) token: Arc<str>,
    seats: Vec<Seat>,
    past: VecDeque<(Arc<Room>, u8)>,
    next_key: u32,
    habits: Habits,
    reactions: Reactions,
    asks: Asks<Asked>,
    /// What was known when joins were asked for, by seat, until they are answered.
    joins: Vec<(u32, Known)>,
    frames: VecDeque<String>,
    calls: VecDeque<Call>,
    pid: String,
    offset: Option<String>,
    socket_id: String,
    is_connected: bool,
    /// When the connection was lost; what the user ends is not lost.
    lost_at: Option<Duration>,
    hangs_up: bool,
    tend_at: Duration,
    is_patient: bool,
}

/// Who a person is.
pub(crate) struct Identity {
    pub(crate) number: usize,
    pub(crate) user: String,
    pub(crate) token: String,
    pub(crate) pairings: Vec<(Arc<Pairing>, u8)>,
}

impl Person {
    pub(super) fn new(world: &Arc<World>, identity: Identity) -> Self {
        let Identity { number, user, token, pairings } = identity;
        let seed = world.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ number as u64;
        let seats: Vec<_> =
            (0..).zip(&pairings).filter_map(|(key, (pairing, slot))| Seat::new(key, pairing, *slot)).collect();
        Self {
            name: format!("client {number} of {user}"),
            user,
            token: token.into(),
            next_key: u32::try_from(seats.len()).unwrap_or(0),
            seats,
            past: VecDeque::new(),
            habits: Habits::new(seed, world.rate, world.now()),
            reactions: Reactions::default(),
            asks: Asks::default(),
            joins: Vec::new(),
            frames: VecDeque::new(),
            calls: VecDeque::new(),
            pid: String::new(),
            offset: None,
            socket_id: String::new(),
            is_connected: false,
            lost_at: None,
            hangs_up: false,
            tend_at: Duration::ZERO,
            is_patient: number % 2 == 0,
            world: Arc::clone(world),
        }
    }

    pub(super) fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// The next frame to write.
    pub(super) fn next_frame(&mut self) -> Option<String> {
        self.frames.pop_front()
    }

    /// The next call to make.
    pub(super) fn next_call(&mut self) -> Option<Call> {
        self.calls.pop_front()
    }

    /// When [`advance`](Self::advance) has something to do.
    pub(super) fn wake_at(&self) -> Duration {
        let mut at = self.tend_at.min(self.habits.due_at());
        at = self.reactions.due_at().map_or(at, |due| at.min(due));
        for seat in &self.seats {
            at = seat.outbox.due_at().map_or(at, |due| at.min(due));
            if let Door::Shut(until) = seat.door
                && !seat.retired
            {
                at = at.min(until);
            }
        }
        at
    }

    /// Does what is due while there is a connection.
    pub(super) fn advance(&mut self) -> Result<(), End> {
        let now = self.world.now();
        if self.tend_at <= now {
            self.tend_at = now + TEND_EVERY;
            self.tend(now);
        }
        while let Some(habit) = self.habits.due(now) {
            if self.world.phase() == Phase::Chatting {
                self.follow(habit, now)?;
            }
        }
        while let Some(reaction) = self.reactions.due(now) {
            self.react(&reaction, now);
        }
        self.open_doors(now);
        self.send_due(now);
        Ok(())
    }

    fn tend(&mut self, now: Duration) {
        self.move_on(now);
        if let Some((asked, age)) = self.asks.dropped(now) {
            let what = format!("no answer to {asked:?} after {:.1} s on a living connection", age.as_secs_f64());
            self.world.judge(Promise::Answered, &self.name, Some(what));
            self.unanswered(asked);
        }
        let is_chatting = self.world.phase() == Phase::Chatting;
        for at in 0..self.seats.len() {
            if is_chatting && self.seats[at].is_eager() {
                self.write(at, Manner::Emit, now);
            }
        }
    }

    /// Goes on in the next match where the pair does, and leaves the one before when it is finished.
    fn move_on(&mut self, now: Duration) {
        for at in 0..self.seats.len() {
            let seat = &mut self.seats[at];
            if !seat.retired && seat.generation != seat.pairing.generation() {
                seat.retired = true;
                let (pairing, slot) = (Arc::clone(&seat.pairing), seat.slot);
                if let Some(seat) = Seat::new(self.next_key, &pairing, slot) {
                    self.next_key += 1;
                    seat.note(&self.world, Event::Connected { recovered: false });
                    self.seats.push(seat);
                }
            }
        }
        for at in (0..self.seats.len()).rev() {
            if !self.seats[at].is_finished() {
                continue;
            }
            match self.seats[at].door {
                Door::Open => self.leave(at, Duration::MAX, now),
                Door::Shut(_) | Door::Closed => {
                    let seat = self.seats.swap_remove(at);
                    self.past.truncate(MAX_PAST - 1);
                    self.past.push_front((seat.room, seat.slot));
                }
                Door::Opening | Door::Leaving(_) => {}
            }
        }
    }

    fn ask(&mut self, asked: Asked, name: &str, body: &Value, now: Duration) {
        if self.is_connected {
            let id = self.asks.ask(asked, now);
            self.frames.push_back(format!(r#"42{id}["{name}",{body}]"#));
        }
    }

    /// What was known when a seat's oldest open join was asked for.
    fn answered_join(&mut self, key: u32) -> Known {
        let at = self.joins.iter().position(|(of, _)| *of == key);
        at.map_or_else(Known::default, |at| self.joins.remove(at).1)
    }

    fn seat(&mut self, key: u32) -> Option<&mut Seat> {
        self.seats.iter_mut().find(|seat| seat.key == key)
    }

    /// The match of an event; that it is none of the user's is a violation.
    fn room(&self, id: &str) -> Option<(Arc<Room>, u8)> {
        let seats = self.seats.iter().map(|seat| (&seat.room, seat.slot));
        let mut all = seats.chain(self.past.iter().map(|(room, slot)| (room, *slot)));
        let found = all.find(|(room, _)| room.id == id).map(|(room, slot)| (Arc::clone(room), slot));
        let is_own = found.is_some() || self.seats.iter().any(|seat| seat.pairing.has(id));
        let what = || format!("{} was told of {id}", self.user);
        self.world.judge(Promise::Secret, &self.name, (!is_own).then(what));
        found
    }
}

#[cfg(test)]
mod tests;

//! What a person does by itself: writes, reads, types, calls, leaves, comes back.

use std::{sync::Arc, time::Duration};

use promises::{Event, Route};
use proto::client::{both, command};
use serde_json::{Value, json};

use super::{Asked, End, Person, WINDOW};
use crate::{
    body::{body, client_id},
    people::{
        calls::{self, Reaction, Step},
        habits::{Habit, Manner},
        rest::{self, Call},
        seat::Door,
    },
};

impl Person {
    pub(super) fn follow(&mut self, habit: Habit, now: Duration) -> Result<(), End> {
        if habit == Habit::HangUp {
            // A reload of the page forgets what the connection was.
            if self.habits.chance(20) {
                self.reload();
            }
            self.hangs_up = true;
            return Err(End::HangUp { in_order: self.habits.chance(50) });
        }
        let current: Vec<_> = (0..self.seats.len()).filter(|at| !self.seats[*at].retired).collect();
        let Some(at) = self.habits.rng.choice(current) else { return Ok(()) };
        match habit {
            Habit::Write => {
                let manner = self.habits.manner();
                self.write(at, manner, now);
            }
            Habit::Leave if self.seats[at].door == Door::Open => {
                let again = now + self.habits.soon(Duration::from_secs(3));
                self.leave(at, again, now);
            }
            Habit::Read => self.read(at),
            Habit::Type => self.type_in(at, now),
            Habit::Call => {
                let (key, step) = (self.seats[at].key, Step::Request);
                self.react(&Reaction { at: now, key, call_id: String::new(), step }, now);
            }
            Habit::Leave | Habit::HangUp => {}
        }
        Ok(())
    }

    pub(super) fn write(&mut self, at: usize, manner: Manner, now: Duration) {
        let seat = &mut self.seats[at];
        let window = if self.is_patient { 1 } else { WINDOW };
        if seat.outbox.len() >= window {
            return;
        }
        let emits = !matches!(manner, Manner::Save { .. });
        let index = seat.outbox.push(now, emits);
        if let Manner::Save { named, emits } = manner {
            self.save(at, (index, 0), named, emits);
        } else {
            // What is emitted is first, or the two have no order.
            self.send_due(now);
            match manner {
                Manner::Twice => self.save(at, (index, 0), false, false),
                Manner::Conflict => self.save(at, (index, 1), false, false),
                _ => {}
            }
        }
    }

    fn save(&mut self, at: usize, (index, variant): (u32, u8), named: bool, emits: bool) {
        let seat = &mut self.seats[at];
        let tag = seat.tag(index, variant);
        let socket_id = named.then(|| self.socket_id.clone());
        let route = if named { Route::NamedRest } else { Route::Rest };
        seat.outbox.asked(index);
        seat.note(&self.world, Event::Emitted { tag, route });
        let what = rest::What::Save { tag, socket_id, emits };
        self.call(at, what);
    }

    pub(super) fn read(&mut self, at: usize) {
        let after = self.habits.rng.u32(0..=self.seats[at].known);
        let limit = self.habits.rng.u32(1..=50);
        self.call(at, rest::What::Read { after, limit });
    }

    fn call(&mut self, at: usize, what: rest::What) {
        let seat = &self.seats[at];
        let gateway = self.habits.rng.usize(0..self.world.gateways.len());
        let (room, key, slot) = (Arc::clone(&seat.room), seat.key, seat.slot);
        self.calls.push_back(Call { room, key, slot, token: Arc::clone(&self.token), gateway, what });
    }

    fn type_in(&mut self, at: usize, now: Duration) {
        let body = json!({ "matchId": self.seats[at].room.id, "isTyping": self.habits.rng.bool() });
        if self.seats[at].door == Door::Open {
            self.ask(Asked::Type, command::TYPING, &body, now);
        }
    }

    pub(super) fn leave(&mut self, at: usize, again: Duration, now: Duration) {
        let seat = &mut self.seats[at];
        seat.door = Door::Leaving(again);
        let (key, body) = (seat.key, Value::from(&*seat.room.id));
        self.ask(Asked::Leave { key }, "leave_chat", &body, now);
    }

    pub(super) fn open_doors(&mut self, now: Duration) {
        for at in 0..self.seats.len() {
            let seat = &self.seats[at];
            if matches!(seat.door, Door::Shut(until) if until <= now) && !seat.retired {
                self.join(at, seat.known, now);
            }
        }
    }

    pub(super) fn join(&mut self, at: usize, since: u32, now: Duration) {
        let seat = &mut self.seats[at];
        if seat.door != Door::Open {
            seat.door = Door::Opening;
        }
        let (key, known) = (seat.key, seat.room.chat().known());
        self.joins.push((key, known));
        let body = json!({ "matchId": seat.room.id, "sinceSeq": since, "keepOthers": true });
        self.ask(Asked::Join { key, since }, command::JOIN_CHAT, &body, now);
    }

    pub(super) fn send_due(&mut self, now: Duration) {
        for at in 0..self.seats.len() {
            while let Some(index) = self.seats[at].outbox.due(now) {
                let seat = &mut self.seats[at];
                let tag = seat.tag(index, 0);
                seat.outbox.asked(index);
                seat.note(&self.world, Event::Emitted { tag, route: Route::Socket });
                let asked = Asked::Send { key: seat.key, index, variant: 0 };
                let body = json!({ "matchId": seat.room.id, "message": body(tag), "clientId": client_id(tag) });
                self.ask(asked, command::SEND_MESSAGE, &body, now);
            }
        }
    }

    pub(super) fn react(&mut self, reaction: &Reaction, now: Duration) {
        let key = reaction.key;
        let Some(seat) = self.seat(key) else { return };
        let (id, call) = (seat.room.id.clone(), calls::hash(&reaction.call_id));
        let mut body = json!({ "matchId": id });
        if !reaction.call_id.is_empty() {
            body["callId"] = Value::from(&*reaction.call_id);
        }
        let name = match reaction.step {
            Step::Request => command::VIDEO_CALL_REQUEST,
            Step::Accept => both::VIDEO_CALL_ACCEPTED,
            Step::Reject => both::VIDEO_CALL_REJECTED,
            Step::End => {
                body["reason"] = Value::from(format!("bye-{}", self.habits.rng.u8(0..3)));
                both::VIDEO_CALL_ENDED
            }
        };
        self.ask(Asked::Call { key, step: reaction.step, call }, name, &body, now);
    }
}

//! What a person is answered, by its socket and by REST.

use std::{sync::Arc, time::Duration};

use load_test::transport::packet::first_argument;
use proto::{Code, client::command};
use serde_json::json;

use super::{Asked, End, Person};
use crate::{
    checker::Promise,
    history::Event,
    people::{
        calls::Step,
        rest::{Done, Outcome},
        seat::Door,
        wire::{Ack, Refusal},
    },
};

impl Person {
    pub(super) fn acked(&mut self, id: u64, arguments: &str) -> Result<(), End> {
        let now = self.world.now();
        let Some(asked) = self.asks.answered(id, now) else { return Ok(()) };
        let ack: Ack<'_> = first_argument(arguments).map_err(|_| End::Closed)?;
        let code = ack.error.as_ref().map(Refusal::code);
        let is_told = ack.ok != ack.error.is_some() && code != Some(None);
        let what = || (format!("{asked:?} was answered with {arguments}"), Vec::new());
        self.world.judge(Promise::Answered, &self.name, (!is_told).then(what));
        if !ack.ok {
            self.world.refused(code.flatten());
        }
        match asked {
            Asked::Send { key, index, variant, saved } => self.send_acked(key, (index, variant, saved), &ack, now),
            Asked::Join { key, since } => self.join_acked(key, since, &ack, now),
            Asked::Leave { key } => self.leave_acked(key, &ack, now),
            Asked::Call { key, step, call } => self.call_acked(key, (step, call), &ack),
            Asked::Type => {}
        }
        Ok(())
    }

    fn send_acked(&mut self, key: u32, (index, variant, saved): (u32, u8, bool), ack: &Ack<'_>, now: Duration) {
        let (world, gateway) = (Arc::clone(&self.world), self.gateway.unwrap_or(0));
        let Some(seat) = self.seat(key) else { return };
        let tag = seat.tag(index, variant);
        seat.outbox.answered(index);
        if ack.ok {
            seat.note(&world, Event::Acked { tag, seq: ack.seq, duplicate: ack.duplicate });
            seat.known = seat.known.max(ack.seq.min(seat.known + 1));
            if let Some(first) = seat.outbox.done(index) {
                world.counters.acked.add(1);
                world.stalls().acked(gateway, first, now);
            }
        } else if let Some(refusal) = &ack.error {
            let code = refusal.code().unwrap_or(Code::Internal);
            if !saved {
                seat.note(&world, Event::Refused { tag, code });
                if code.is_retryable() {
                    seat.outbox.retry(index, now + refusal.pause());
                } else {
                    seat.outbox.done(index);
                }
            }
        }
        seat.settle(&world);
    }

    fn join_acked(&mut self, key: u32, since: u32, ack: &Ack<'_>, now: Duration) {
        let world = Arc::clone(&self.world);
        let Some(at) = self.seats.iter().position(|seat| seat.key == key) else { return };
        let seat = &mut self.seats[at];
        if let Some(refusal) = &ack.error {
            if seat.door == Door::Opening {
                seat.door = Door::Shut(now + refusal.pause());
            }
            if let Some(floor) = self.floors.iter().position(|(of, _)| *of == key) {
                self.floors.remove(floor);
            }
            let what = format!("a member's join was refused with {}", refusal.text());
            let wrong = refusal.code().is_none_or(|code| !code.is_retryable());
            world.judge(Promise::Answered, &self.name, wrong.then(|| (what, Vec::new())));
            return;
        }
        if let Some(next) = seat.paged(&world, since, ack) {
            self.join(at, next, now);
        }
    }

    fn leave_acked(&mut self, key: u32, ack: &Ack<'_>, now: Duration) {
        let world = Arc::clone(&self.world);
        let Some(seat) = self.seat(key) else { return };
        let Some(refusal) = &ack.error else { return };
        if matches!(seat.door, Door::Leaving(_)) {
            if refusal.code() == Some(Code::NotJoined) {
                seat.note(&world, Event::Forgotten);
                seat.door = Door::Shut(now);
            } else {
                seat.door = Door::Open;
            }
        }
    }

    fn call_acked(&mut self, key: u32, (step, call): (Step, u64), ack: &Ack<'_>) {
        let world = Arc::clone(&self.world);
        let Some(seat) = self.seat(key) else { return };
        if !ack.ok || step != Step::Accept {
            return;
        }
        world.counters.calls.add(1);
        seat.note(&world, Event::CallAccepted { call });
        if let Some(call_id) = &ack.call_id {
            let call_id = call_id.clone().into_owned();
            self.will(key, call_id, Step::End);
        }
    }

    /// A call by REST is over.
    pub(in crate::people) fn called(&mut self, done: Done) {
        let (world, now, connected) = (Arc::clone(&self.world), self.world.now(), self.gateway.is_some());
        let Some(seat) = self.seat(done.key) else { return };
        let Some((tag, outcome)) = done.saved else { return };
        match outcome {
            Outcome::Stored(Some(object)) if connected => {
                let asked = Asked::Send { key: done.key, index: tag.index, variant: tag.variant, saved: true };
                let body = json!({ "matchId": seat.room.id, "message": object });
                // Still open: the ack of the emit is the last that comes of it.
                self.ask(asked, command::SEND_MESSAGE, &body, now);
                return;
            }
            Outcome::Open => return,
            Outcome::Stored(_) | Outcome::Refused => {}
        }
        seat.outbox.answered(tag.index);
        seat.settle(&world);
    }
}

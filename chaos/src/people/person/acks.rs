//! What a person is answered, by its socket and by REST.

use std::{sync::Arc, time::Duration};

use load_test::transport::packet::first_argument;
use promises::{Event, Promise};
use proto::{Code, client::command};
use serde_json::json;

use super::{Asked, End, Person};
use crate::people::{
    calls::Step,
    rest::{Done, Outcome},
    seat::Door,
    wire::{self, Ack},
};

impl Person {
    pub(super) fn acked(&mut self, id: u64, arguments: &str) -> Result<(), End> {
        let now = self.world.now();
        let asked = self.asks.answered(id, now);
        let ack: Ack<'_> = first_argument(arguments).map_err(|_| End::Closed)?;
        let is_due = asked.is_some_and(|asked| is_possible(asked, &ack));
        let what = || format!("{asked:?} was answered with {arguments}");
        self.world.judge(Promise::Answered, &self.name, (!is_due).then(what));
        if let Some(refusal) = &ack.error {
            self.world.refused(refusal.code());
        }
        let Some(asked) = asked else { return Ok(()) };
        match asked {
            Asked::Send { key, index, variant } => self.send_acked(key, (index, variant), &ack, now),
            Asked::Join { key, since } => self.join_acked(key, since, &ack, now),
            Asked::Leave { key } => self.leave_acked(key, &ack, now),
            Asked::Call { key, step, call } => self.call_acked(key, (step, call), &ack),
            Asked::Type => {}
        }
        Ok(())
    }

    fn send_acked(&mut self, key: u32, (index, variant): (u32, u8), ack: &Ack<'_>, now: Duration) {
        let world = Arc::clone(&self.world);
        let Some(seat) = self.seat(key) else { return };
        let tag = seat.tag(index, variant);
        seat.outbox.answered(index);
        if ack.ok {
            seat.note(&world, Event::Acked { tag, seq: ack.seq, duplicate: ack.duplicate });
            seat.known = seat.known.max(ack.seq.min(seat.known + 1));
            if let Some(first) = seat.outbox.done(index) {
                world.stalls().acked(first, now);
            }
        } else if let Some(refusal) = &ack.error {
            let code = refusal.code().unwrap_or(Code::Internal);
            seat.note(&world, Event::Refused { tag, code });
            if code.is_retryable() {
                seat.outbox.retry(index, now + wire::pause(refusal));
            } else {
                seat.outbox.done(index);
            }
        }
        seat.settle(&world);
    }

    fn join_acked(&mut self, key: u32, since: u32, ack: &Ack<'_>, now: Duration) {
        let world = Arc::clone(&self.world);
        let Some(at) = self.seats.iter().position(|seat| seat.key == key) else { return };
        if let Some(refusal) = &ack.error {
            self.answered_join(key);
            return self.seats[at].join_refused(&world, refusal);
        }
        if let Some(next) = self.seats[at].paged(&world, since, ack) {
            self.join(at, next, now);
        }
    }

    fn leave_acked(&mut self, key: u32, ack: &Ack<'_>, now: Duration) {
        let world = Arc::clone(&self.world);
        let Some(seat) = self.seat(key) else { return };
        let Some(refusal) = &ack.error else { return };
        if matches!(seat.door, Door::Leaving(_)) {
            if refusal.code() == Some(Code::NotJoined) {
                if !seat.room.chat().is_to_close() {
                    seat.note(&world, Event::Forgotten);
                }
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
        seat.note(&world, Event::CallAccepted { call });
        if let Some(call_id) = &ack.call_id {
            self.will(key, call_id.clone(), Step::End);
        }
    }

    /// A call by REST is over.
    pub(in crate::people) fn called(&mut self, done: Done) {
        let (world, now, connected) = (Arc::clone(&self.world), self.world.now(), self.is_connected);
        let Some(seat) = self.seat(done.key) else { return };
        let Some((tag, outcome)) = done.saved else { return };
        match outcome {
            Outcome::Stored(Some(object)) if connected => {
                let asked = Asked::Send { key: done.key, index: tag.index, variant: tag.variant };
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

/// Whether a member may be answered so. Refused sends and joins are judged with what else is known of their matches.
fn is_possible(asked: Asked, ack: &Ack<'_>) -> bool {
    let Some(refusal) = &ack.error else { return ack.ok };
    let Some(code) = refusal.code() else { return false };
    let is_of = match asked {
        Asked::Send { .. } | Asked::Join { .. } => true,
        Asked::Leave { .. } | Asked::Type => matches!(code, Code::NotJoined | Code::MatchClosed),
        Asked::Call { .. } => matches!(
            code,
            Code::CallStateConflict | Code::CallBusy | Code::CallNotFound | Code::MilestoneRequired | Code::MatchClosed
        ),
    };
    !ack.ok && (is_of || code.is_retryable())
}

//! How a person comes and goes: what it brings back, what it has lost.

use promises::{Event, Promise};
use serde_json::{Value, json};

use super::{Asked, End, Person};
use crate::people::wire::{self, Accepted};

/// Who has missed at most 1,000 messages of a chat is recovered. There may be more messages than anybody knows of.
const SURELY_RECOVERED: u32 = 500;

impl Person {
    /// What CONNECT says, as the official client does.
    pub(in crate::people) fn auth(&self) -> String {
        let mut auth = json!({ "token": &*self.token });
        if !self.pid.is_empty() {
            auth["pid"] = Value::from(&*self.pid);
        }
        if let Some(offset) = &self.offset {
            auth["offset"] = Value::from(&**offset);
        }
        auth.to_string()
    }

    /// A gateway has accepted the connection.
    pub(in crate::people) fn connected(&mut self, answer: &str) -> Result<(), End> {
        let accepted: Accepted = serde_json::from_str(answer).map_err(|_| End::Closed)?;
        let recovered = !self.pid.is_empty() && self.pid == accepted.pid;
        self.judge_recovery(recovered);
        self.pid = accepted.pid;
        self.socket_id = accepted.sid;
        self.is_connected = true;
        self.world.progress().connected += 1;
        // A cursor of an earlier pid counts as none.
        let offset = self.offset.clone().filter(|offset| wire::is_of(offset, &self.pid)).unwrap_or_default();
        let lost = self.lost_at.take();
        for seat in &mut self.seats {
            seat.connected(&self.world, recovered.then_some(&*offset), lost.is_some());
        }
        // Late events there are for the device that this was, and told to each connection for itself.
        for (room, slot) in &self.past {
            room.note(&self.world, *slot, Event::Connected { recovered });
        }
        if let Some(since) = lost {
            self.world.stalls().returns.add(since, self.world.now());
        }
        Ok(())
    }

    /// The page is reloaded: it knows nothing of its earlier connections.
    pub(super) fn reload(&mut self) {
        self.pid.clear();
        self.offset = None;
        for seat in &mut self.seats {
            seat.note(&self.world, Event::Reloaded);
        }
        for (room, slot) in &self.past {
            room.note(&self.world, *slot, Event::Reloaded);
        }
    }

    /// A client that brings a pid and a cursor of that pid keeps the pid, unless it has missed too much. Without such a
    /// cursor it gets another pid.
    fn judge_recovery(&self, recovered: bool) {
        if self.pid.is_empty() {
            return;
        }
        let Some(offset) = self.offset.as_deref().filter(|offset| wire::is_of(offset, &self.pid)) else {
            let what = || format!("{} brought no cursor of its pid and was recovered", self.name);
            return self.world.judge(Promise::Delivered, &self.name, recovered.then(what));
        };
        let has_missed_little = self.seats.iter().all(|seat| {
            let seq = wire::position(offset, &seat.room.id).map(|(seq, _)| seq);
            seq.is_none_or(|seq| seat.room.chat().known().highest <= seq + SURELY_RECOVERED)
        });
        let what = || format!("{} brought its pid and cursor and was given another pid", self.name);
        let is_wrong = !recovered && has_missed_little;
        self.world.judge(Promise::Delivered, &self.name, is_wrong.then(what));
    }

    /// The connection is gone.
    pub(in crate::people) fn disconnected(&mut self) {
        self.frames.clear();
        self.joins.clear();
        self.is_connected = false;
        self.lost_at = (!std::mem::take(&mut self.hangs_up)).then(|| self.world.now());
        self.world.progress().connected -= 1;
        for asked in self.asks.clear().collect::<Vec<_>>() {
            self.unanswered(asked);
        }
        for seat in &mut self.seats {
            seat.settle(&self.world);
            seat.note(&self.world, Event::Disconnected);
        }
    }

    /// What was asked will not be answered any more.
    pub(super) fn unanswered(&mut self, asked: Asked) {
        if let Asked::Send { key, index, .. } = asked
            && let Some(seat) = self.seat(key)
        {
            seat.outbox.answered(index);
        }
    }
}

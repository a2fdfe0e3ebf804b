//! What a person is told.

use std::{sync::Arc, time::Duration};

use load_test::transport::packet::{Packet, first_argument};
use promises::{Event, Promise};
use proto::client::{both, event};

use super::{End, Person};
use crate::{
    crowd::{room::Room, world::Phase},
    people::{
        calls::{self, Reaction, Step},
        habits::Manner,
        seat::Door,
        wire::{Message, Told, offset},
    },
};

impl Person {
    /// Takes a frame of the server.
    pub(in crate::people) fn handle(&mut self, text: &str) -> Result<(), End> {
        match Packet::parse(text).map_err(|_| End::Closed)? {
            Packet::Ping => self.frames.push_back("3".to_owned()),
            Packet::Event { name, arguments } => {
                self.told(name, arguments)?;
                if let Some(offset) = offset(arguments) {
                    self.offset = Some(offset.to_owned());
                }
            }
            Packet::Ack { id, arguments } => return self.acked(id, arguments),
            Packet::Close | Packet::Disconnected | Packet::Refused(_) => return Err(End::Closed),
            Packet::Open(_) | Packet::Connected(_) | Packet::Other => {}
        }
        Ok(())
    }

    fn told(&mut self, name: &str, arguments: &str) -> Result<(), End> {
        if name == event::RECEIVE_MESSAGE {
            let message: Message<'_> = first_argument(arguments).map_err(|_| End::Closed)?;
            self.world.progress().received += 1;
            let Some((room, slot)) = self.room(&message.match_id) else { return Ok(()) };
            room.note(&self.world, slot, Event::Received { tag: message.tag(&room), seq: message.seq });
            if let Some(seat) = self.seats.iter_mut().find(|seat| seat.room.id == room.id) {
                seat.known = seat.known.max(message.seq);
            }
            return Ok(());
        }
        let told: Told<'_> = first_argument(arguments).map_err(|_| End::Closed)?;
        let Some(id) = &told.match_id else { return Ok(()) };
        let Some((room, slot)) = self.room(id) else { return Ok(()) };
        match name {
            event::CHAT_JOINED => self.chat_joined(&room, &told),
            event::CHAT_LEFT => self.chat_left(&room, slot),
            event::MATCH_CLOSED => self.match_closed(&room, slot),
            event::MILESTONE_REACHED => self.milestone_reached(&room, slot, &told),
            event::VIDEO_CALL_INCOMING | both::VIDEO_CALL_ACCEPTED => self.call_goes_on(&room, name, &told),
            both::VIDEO_CALL_REJECTED | both::VIDEO_CALL_ENDED => {
                let call = calls::hash(told.call_id.as_deref().unwrap_or_default());
                let reason = calls::reason(told.reason.as_deref().unwrap_or("declined"));
                room.note(&self.world, slot, Event::CallEnded { call, reason });
            }
            _ => {}
        }
        Ok(())
    }

    fn chat_joined(&mut self, room: &Room, told: &Told<'_>) {
        let Some(key) = self.seats.iter().find(|seat| seat.room.id == room.id).map(|seat| seat.key) else { return };
        let (known, world) = (self.answered_join(key), Arc::clone(&self.world));
        if let Some(seat) = self.seat(key) {
            seat.joined(&world, told, known);
        }
    }

    fn chat_left(&mut self, room: &Room, slot: u8) {
        room.note(&self.world, slot, Event::Left);
        if let Some(seat) = self.seats.iter_mut().find(|seat| seat.room.id == room.id)
            && let Door::Leaving(again) = seat.door
        {
            seat.door = Door::Shut(again);
        }
    }

    /// Whoever does not want to believe it tries once more.
    fn match_closed(&mut self, room: &Room, slot: u8) {
        room.note(&self.world, slot, Event::ToldClosed);
        let Some(at) = self.seats.iter().position(|seat| seat.room.id == room.id) else { return };
        self.seats[at].door = Door::Closed;
        if self.world.phase() != Phase::Chatting {
            return;
        }
        let now = self.world.now();
        match self.habits.rng.u8(0..4) {
            0 => self.join(at, self.seats[at].known, now),
            1 => self.read(at),
            2 => self.write(at, Manner::Save { named: true, emits: false }, now),
            _ => self.write(at, Manner::Emit, now),
        }
    }

    fn milestone_reached(&self, room: &Room, slot: u8, told: &Told<'_>) {
        self.world.progress().milestones += 1;
        let (milestone, count) = (told.milestone, told.message_count);
        let wrong = (milestone, count) != (100, 100);
        let what = wrong.then(|| format!("the milestone says {milestone} and {count}"));
        self.world.judge(Promise::Milestones, &room.id, what);
        room.note(&self.world, slot, Event::Milestone { ord: 1 });
        let (reached_at_ms, now) = (room.chat().reached_at_ms(), self.world.now());
        if let Some(at_ms) = reached_at_ms {
            self.world.stalls().milestones.add(Duration::from_millis(u64::from(at_ms)), now);
        }
    }

    fn call_goes_on(&mut self, room: &Room, name: &str, told: &Told<'_>) {
        let Some(key) = self.seats.iter().find(|seat| seat.room.id == room.id).map(|seat| seat.key) else { return };
        let Some(call_id) = &told.call_id else { return };
        let step = if name != event::VIDEO_CALL_INCOMING {
            Step::End
        } else if self.habits.chance(70) {
            Step::Accept
        } else if self.habits.chance(60) {
            Step::Reject
        } else {
            return;
        };
        self.will(key, call_id.clone().into_owned(), step);
    }

    pub(super) fn will(&mut self, key: u32, call_id: String, step: Step) {
        let longest = if step == Step::End { Duration::from_secs(2) } else { Duration::from_millis(300) };
        let at = self.world.now() + self.habits.soon(longest);
        self.reactions.push(Reaction { at, key, call_id, step });
    }
}

//! One socket on a gateway, with the real session of `gateway/src/chat/session.rs`.

use std::{cell::RefCell, rc::Rc};

use gateway::chat::{Session, Viewer};
use gateway_core::{lines::Lines, origin::origin_of, pid::Pid};
use proto::{Code, MatchId};

use super::{Gateway, Presence, User, order::Command};
use crate::{
    mistake::Mistake,
    pipe::{Answered, Down, Pipe},
    world::World,
};

/// A connected socket.
pub(super) struct Socket {
    presence: Presence,
    pub(super) pipe: Rc<Pipe>,
    pub(super) pid: Pid,
    pub(super) connection: u64,
    pub(super) connected_at_ms: i64,
    pub(super) origin: u64,
    pub(super) session: RefCell<Session>,
    pub(super) lines: RefCell<Lines<Command>>,
}

impl Socket {
    pub(super) fn new(presence: Presence, pipe: Rc<Pipe>, pid: Pid) -> Rc<Self> {
        let sim = presence.gateway.world.sim.clone();
        Rc::new(Self {
            presence,
            pipe,
            origin: origin_of(&pid.sid()),
            pid,
            connection: sim.chance(|rng| rng.u64(..)),
            connected_at_ms: sim.now_ms(),
            session: RefCell::default(),
            lines: RefCell::default(),
        })
    }

    pub(super) fn gateway(&self) -> &Rc<Gateway> {
        &self.presence.gateway
    }

    pub(super) fn world(&self) -> &Rc<World> {
        &self.presence.gateway.world
    }

    pub(super) fn user(&self) -> &Rc<User> {
        &self.presence.user
    }

    pub(super) fn viewer(&self) -> Viewer<'_> {
        let is_blind = self.world().mistake == Some(Mistake::OwnMessages);
        let origin = if is_blind { 0 } else { self.origin };
        Viewer { user: &self.user().id, origin, tag: self.pid.tag() }
    }

    pub(super) fn is_replaced_by(&self, connected_at_ms: i64, connection: u64) -> bool {
        (connected_at_ms, connection) > (self.connected_at_ms, self.connection)
    }

    pub(super) fn was_connected(&self, at_ms: i64) -> bool {
        self.connected_at_ms <= at_ms
    }

    pub(super) fn ack(&self, ack: u64, answer: Answered) {
        self.pipe.send(Down::Ack { ack, answer });
    }

    pub(super) fn fail(&self, ack: u64, code: Code) {
        self.ack(ack, Answered::Failed { code, retry_after_ms: None });
    }

    /// The id of a match of the cast.
    pub(super) fn id_of(&self, chat: usize) -> MatchId {
        self.world().cast.chats[chat].id.clone()
    }
    /// The match of the cast with this id.
    pub(super) fn chat_of(&self, id: &MatchId) -> usize {
        self.world().cast.chats.iter().position(|chat| chat.id == *id).unwrap_or_default()
    }
}

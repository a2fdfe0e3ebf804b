//! What one connected socket of a user remembers.

use std::time::{Duration, Instant};

use proto::{MatchId, UserId};

use crate::{
    calls::Calls, chats::Chats, command::Queues, cursor::Line, epoch::Epoch, given::Viewer, origin::origin_of,
    output::SocketId, pid::Pid, proving::Proving, validity::Validity, watches::Watches,
};

/// The state of one socket. `T` is what a send holds until its outcome is known.
#[derive(Debug)]
pub struct SocketState<T> {
    /// Its number.
    pub id: SocketId,
    pub(crate) name: Name,
    /// When it connected, as Unix time.
    pub(crate) connected_at_ms: i64,
    /// What its messages are stored with, so that they are not delivered to it.
    pub(crate) origin: u64,
    pub(crate) token: Validity,
    /// When its client last sent an event; one that has sent none counts from its CONNECT. Heartbeats are no events.
    pub(crate) last_event: Instant,
    /// The database's, to which the positions in its chats belong.
    pub(crate) epoch: Epoch,
    pub(crate) chats: Chats,
    pub(crate) calls: Calls,
    /// Idle it is one word.
    pub(crate) queues: Option<Box<Queues<T>>>,
    /// What its client has still to prove that it has.
    pub(crate) proving: Proving,
    /// What it watches besides its open chats.
    pub(crate) watches: Watches,
    /// What is still to be done for a socket that takes the place of an earlier one.
    pub(crate) resumed: Option<Box<Resumed>>,
    /// Its connection is gone: what it was asked to store still is.
    pub(crate) is_gone: bool,
    /// Its client says that the app is not in use.
    pub(crate) is_in_background: bool,
}

/// By what a socket is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// Across its reconnects.
    Pid(Pid),
    /// As long as it is connected: its sid. Its client does not want to be recovered.
    Sid(Box<str>),
}

/// What is to be done, besides its open chats, for a socket that takes the place of an earlier one.
#[derive(Debug)]
pub struct Resumed {
    /// The earlier one's pid: the socket's own if it is recovered.
    pub replaces: Pid,
    /// Those of its open chats that were closed meanwhile.
    pub closed: Vec<MatchId>,
    /// How many events the user's inbox had had before the heads were read.
    pub heard: u64,
}

impl Name {
    /// The socket's public id, by which the user's calls know the device.
    pub fn device(&self) -> String {
        match self {
            Self::Pid(pid) => pid.sid(),
            Self::Sid(sid) => sid.to_string(),
        }
    }

    /// What the socket's messages are stored with.
    pub fn origin(&self) -> u64 {
        origin_of(&self.device())
    }

    pub(crate) fn tag(&self) -> &str {
        match self {
            Self::Pid(pid) => pid.tag(),
            Self::Sid(_) => "",
        }
    }
}

impl<T> SocketState<T> {
    /// How long its client has been silent.
    pub fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.last_event)
    }

    /// Whether its pid is this one.
    pub fn is_of(&self, pid: &str) -> bool {
        matches!(&self.name, Name::Pid(own) if own.as_str() == pid)
    }

    /// What its cursors say besides the chats.
    pub(crate) fn line(&self) -> Line<'_> {
        Line { tag: self.name.tag(), epoch: self.epoch, call: self.calls.last() }
    }

    pub(crate) fn viewer<'a>(&'a self, user: &'a UserId) -> Viewer<'a> {
        Viewer { user, origin: self.origin, line: self.line() }
    }

    /// The cursor after what was given so far.
    pub(crate) fn cursor(&self) -> String {
        self.chats.cursor(self.line(), None)
    }

    /// Whether a socket that connected with the same pid replaces this one: the later wins, however late one hears of
    /// it.
    ///
    /// Where the clocks of two gateways differ by more than lies between the two, the earlier one stays, unheard by its
    /// client, until its heartbeat fails.
    pub(crate) fn is_replaced_by(&self, connected_at_ms: i64, connection: u64) -> bool {
        (connected_at_ms, connection) > (self.connected_at_ms, self.id.0)
    }

    /// Whether it was connected already at a Unix time in milliseconds.
    pub(crate) fn was_connected(&self, at_ms: i64) -> bool {
        self.connected_at_ms <= at_ms
    }

    /// Whether the socket is about to take this device's part in a call. Until it has, it hears what is meant for that
    /// one.
    pub(crate) fn takes_over(&self, device: &str) -> bool {
        self.resumed.as_ref().is_some_and(|resumed| resumed.replaces.sid() == device)
    }

    /// Forgets the queues once they are empty.
    pub(crate) fn tidy(&mut self) {
        self.queues.take_if(|queues| queues.is_idle());
    }
}

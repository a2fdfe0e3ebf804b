//! One step of the core: whose it is, when it happens, what is allowed, and what comes out.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use proto::UserId;

use crate::{
    failure::Failure,
    mistake::{self, Mistake},
    moment::Moment,
    output::{Event, Output, SocketId},
    reply::Reply,
    views::MessageFields,
};

/// What the gateway allows its users, by sockets and by REST together.
pub trait Limits {
    /// What a send holds until its outcome is known.
    type Ticket;

    /// Takes one of the user's events.
    ///
    /// # Errors
    /// What is to be done with an event that comes too early.
    fn take_event(&self, user: &UserId, now: Instant) -> Result<(), Flood>;

    /// Takes what the user may do only so often.
    ///
    /// # Errors
    /// How long the user has to wait.
    fn take(&self, what: Limited, user: &UserId, now: Instant) -> Result<(), Duration>;

    /// Opens a send.
    ///
    /// # Errors
    /// While more are open than the services answer in time.
    fn admit(&self, now: Instant) -> Result<Self::Ticket, Failure>;

    /// The user was given so many bytes of what is stored.
    fn has_read(&self, user: &UserId, bytes: usize, now: Instant);
}

/// What a user may do only so often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limited {
    /// `join_chat`, which reads history.
    Join,
    /// `send_message`.
    Send,
    /// `typing` with `isTyping: true`.
    Typing,
    /// `video_call_signal`.
    Signal,
}

/// Why an event is refused by its user's limit of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flood {
    /// It comes too early; there is room for it after this long.
    TooEarly(Duration),
    /// The same, and the user has been refused so often that the connection is to be closed.
    GoesOn(Duration),
}

/// What is configured.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Where clients find the fields of an object message.
    pub fields: MessageFields,
    /// Most messages in the ack of a join.
    pub join_page: i32,
    /// Messages that are fetched at once when some were missed.
    pub page: i32,
    /// Whether it is noted how far users have read and received.
    pub receipts: bool,
}

impl Settings {
    /// What the gateway does unless it is told otherwise.
    pub const fn new(fields: MessageFields) -> Self {
        Self { fields, join_page: 200, page: 100, receipts: true }
    }
}

/// What a step stands on, and where its outputs go.
#[derive(Debug)]
pub struct Step<'a, L: Limits> {
    /// Whose sockets they are.
    pub user: &'a UserId,
    /// When it happens.
    pub at: Moment,
    /// What is allowed.
    pub limits: &'a L,
    /// What is configured.
    pub settings: Settings,
    /// What comes out, to be carried out in this order.
    pub out: &'a mut Vec<Output<L::Ticket>>,
}

impl<L: Limits> Step<'_, L> {
    pub(crate) fn emit(&mut self, socket: SocketId, event: Event) {
        self.out.push(Output::Emit(socket, event));
    }

    pub(crate) fn ask(&mut self, ask: crate::output::Ask<L::Ticket>) {
        self.out.push(Output::Ask(ask));
    }

    /// Acks a command with `json`, the whole argument.
    pub(crate) fn ok(&mut self, socket: SocketId, reply: &Reply, json: String) {
        if let Some(id) = reply.callback() {
            self.out.push(Output::Ack(socket, id, json));
        }
    }

    /// Answers a command with a failure.
    pub(crate) fn fail(&mut self, socket: SocketId, reply: &Reply, failure: &Failure) {
        self.out.push(Output::Rejected(failure.code));
        if mistake::is_planted(Mistake::SilentRefusals) {
            return;
        }
        if let Some(id) = reply.callback() {
            self.out.push(Output::Ack(socket, id, failure.ack_json()));
        } else if let Some((name, names)) = reply.event() {
            self.emit(socket, Event::new(name, failure.event_json(names)));
        }
    }

    /// Does a part of the step. If it panics, nothing of its outputs goes out: false.
    pub(crate) fn contained(&mut self, work: impl FnOnce(&mut Self)) -> bool {
        let before = self.out.len();
        let is_done = catch_unwind(AssertUnwindSafe(|| work(self))).is_ok();
        if !is_done {
            self.out.truncate(before);
        }
        is_done
    }
}

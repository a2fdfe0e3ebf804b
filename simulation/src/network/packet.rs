//! What is published, and where.

use std::{cell::RefCell, rc::Rc};

use proto::{
    chat::{ReplicaAnnounced, SendReply, SendRequest},
    inbox::inbox_event::Event,
};

use crate::{channel::Answer, executor::ProcessId};

/// Where something is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// `match.<p>.*.send`.
    Send(u8),
    /// `match.any.*.send`.
    SendAny,
    /// `user.<id>.*`.
    User(usize),
    /// `chat.replica`.
    Replica,
}

/// What is published.
#[derive(Clone)]
pub(crate) enum Packet {
    /// What a user's gateways hear.
    Inbox(Rc<Event>),
    Request(Rc<Request>),
    Replica(ReplicaAnnounced),
}

/// A send that waits for its answer.
pub(crate) struct Request {
    pub(crate) from: ProcessId,
    pub(crate) send: SendRequest,
    pub(super) answer: RefCell<Option<Answer<Option<SendReply>>>>,
}

//! What is published, and where.

use std::{cell::RefCell, rc::Rc};

use proto::{
    MatchId,
    chat::{Message, Milestone, ReplicaAnnounced, SendReply, SendRequest},
};

use crate::{channel::Answer, executor::ProcessId};

/// Where something is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// `match.<p>.*.send`.
    Send(u8),
    /// `match.any.*.send`.
    SendAny,
    /// `user.<id>`.
    User(usize),
    /// `chat.replica`.
    Replica,
}

/// What a user's gateways hear.
#[derive(Debug)]
pub(crate) enum Inbox {
    Posted(Vec<Message>),
    Milestone(MatchId, Milestone),
    Closed(MatchId),
    Replaced { pid: String, connected_at_ms: i64, connection: u64 },
}

/// What is published.
#[derive(Clone)]
pub(crate) enum Packet {
    Inbox(Rc<Inbox>),
    Request(Rc<Request>),
    Replica(ReplicaAnnounced),
}

/// A send that waits for its answer.
pub(crate) struct Request {
    pub(crate) from: ProcessId,
    pub(crate) send: SendRequest,
    pub(super) answer: RefCell<Option<Answer<Option<SendReply>>>>,
}

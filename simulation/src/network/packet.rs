//! What is published, and where.

use std::{cell::RefCell, rc::Rc};

use proto::{
    MatchId,
    chat::{Message, Milestone, ReplicaAnnounced, SendReply, SendRequest},
    inbox::{MatchClosed, MessagesPosted, MilestoneReached, inbox_event::Event},
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
    Closed(MatchClosed),
    /// Any other event.
    Event(Event),
}

impl Inbox {
    /// The event as gateways hear it.
    pub(crate) fn to_event(&self) -> Event {
        match self {
            Self::Posted(messages) => Event::MessagesPosted(MessagesPosted { messages: messages.clone() }),
            Self::Milestone(chat, milestone) => Event::MilestoneReached(MilestoneReached {
                match_id: chat.to_string(),
                milestone: Some(milestone.clone()),
            }),
            Self::Closed(closed) => Event::MatchClosed(closed.clone()),
            Self::Event(event) => event.clone(),
        }
    }
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

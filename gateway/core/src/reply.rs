//! How a command is answered: by its ack, or, when it asked for none, a failure by an event.

use proto::client::{both, command, event};

use crate::failure::Names;

/// The answer that a command waits for. It is kept where the command is at work until that is over, so that a panic
/// leaves it there to be answered.
#[derive(Debug)]
pub struct Reply(To);

/// Who is answered.
#[derive(Debug)]
enum To {
    /// The callback with this id.
    Callback(u64),
    /// Nobody of a success; an event tells of a failure, and what the command named.
    Event(&'static str, Names),
    /// Nobody.
    Nobody,
}

impl Reply {
    /// The reply to an event with this name, first argument as raw JSON, and ack id.
    pub(crate) fn new(name: &str, first: Option<&str>, ack: Option<u64>) -> Self {
        Self(match (ack, failure_event(name)) {
            (Some(id), _) => To::Callback(id),
            (None, Some(told_by)) => To::Event(told_by, Names::of(first)),
            (None, None) => To::Nobody,
        })
    }

    /// The reply to a command of the gateway's own, which nobody hears.
    pub(crate) fn unheard() -> Self {
        Self(To::Nobody)
    }

    /// The reply to what is part of a flood: it is told of also where a refusal is silent otherwise.
    pub(crate) fn loud(self) -> Self {
        match self.0 {
            To::Nobody => Self(To::Event(event::MESSAGE_ERROR, Names::default())),
            to => Self(to),
        }
    }

    pub(crate) fn callback(&self) -> Option<u64> {
        match self.0 {
            To::Callback(id) => Some(id),
            To::Event(..) | To::Nobody => None,
        }
    }

    pub(crate) fn event(&self) -> Option<(&'static str, &Names)> {
        match &self.0 {
            To::Event(name, names) => Some((name, names)),
            To::Callback(_) | To::Nobody => None,
        }
    }
}

fn failure_event(name: &str) -> Option<&'static str> {
    match name {
        command::SEND_MESSAGE | command::EDIT_MESSAGE | command::DELETE_MESSAGE | command::REACT => {
            Some(event::MESSAGE_ERROR)
        }
        command::JOIN_CHAT => Some(event::CHAT_JOIN_ERROR),
        command::VIDEO_CALL_REQUEST
        | command::VIDEO_CALL_SIGNAL
        | both::VIDEO_CALL_ACCEPTED
        | both::VIDEO_CALL_REJECTED
        | both::VIDEO_CALL_ENDED => Some(event::CALL_ERROR),
        _ => None,
    }
}

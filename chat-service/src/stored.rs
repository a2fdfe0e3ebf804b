//! Rows: of messages with what they were, and of commands that named themselves.

use proto::{ClientId, UserId, chat::Message};

use crate::digest::Digest;

/// A row of `messages`.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The message.
    pub message: Message,
    /// Whether the REST call saved it.
    pub by_rest: bool,
    /// How often it was edited.
    pub edits: i16,
    /// Its body as it was sent, unless that is its body still.
    pub original: Option<Digest>,
}

/// A body that a message had before a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The message.
    pub seq: i64,
    /// The change that has replaced it.
    pub rev: i64,
    /// Canonical JSON.
    pub body: String,
    /// When it was replaced, as Unix time.
    pub replaced_at_ms: i64,
}

/// A command that named itself, and what it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Who has given it.
    pub user: UserId,
    /// The name, of this user in this match.
    pub client_id: ClientId,
    /// What was asked.
    pub content: Digest,
    /// What was answered.
    pub rev: i64,
    /// When it has made the change of this rev, and behind which message; `None` if it has changed nothing.
    pub made: Option<Made>,
}

/// Where a change stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// The match's head then.
    pub after_seq: i64,
    /// Unix time.
    pub created_at_ms: i64,
}

impl Row {
    /// A message as it is sent.
    pub fn new(message: Message, by_rest: bool) -> Self {
        Self { message, by_rest, edits: 0, original: None }
    }
}

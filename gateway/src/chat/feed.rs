//! What arrives for a user's sockets: messages and milestones, decoded once and encoded once for all of them.

use std::sync::{Arc, OnceLock};

use proto::{
    MatchId, UserId,
    chat::{Message, Milestone},
    client::event,
};

use super::room::Sequenced;
use crate::{
    socketio::Packet,
    views::{self, MessageFields},
};

/// A message that was stored.
#[derive(Debug)]
pub struct Posted {
    /// Its chat.
    pub chat: MatchId,
    /// Who sent it.
    pub sender: UserId,
    /// What chat-service says of it.
    pub message: Message,
    fields: MessageFields,
    json: OnceLock<String>,
}

impl Posted {
    /// `None` if its ids are malformed, which no service of ours sends.
    pub fn new(message: Message, fields: MessageFields) -> Option<Arc<Self>> {
        let chat = MatchId::new(message.match_id.as_str()).ok()?;
        let sender = UserId::new(message.sender_id.as_str()).ok()?;
        Some(Arc::new(Self { chat, sender, message, fields, json: OnceLock::new() }))
    }

    /// The `receive_message` event of a socket whose cursor it moves.
    pub fn packet(&self, cursor: &str) -> Packet {
        recoverable(event::RECEIVE_MESSAGE, self.json(), cursor)
    }

    /// The message as clients see it.
    pub fn json(&self) -> &str {
        self.json.get_or_init(|| views::message(&self.message, self.fields))
    }

    /// The `inbox_updated` event.
    pub fn inbox_packet(&self) -> Packet {
        let Message { match_id, seq, sender_id, .. } = &self.message;
        let updated = serde_json::json!({ "matchId": match_id, "lastSeq": seq, "senderId": sender_id });
        Packet::event(event::INBOX_UPDATED, &views::to_json(&updated))
    }
}

impl Sequenced for Arc<Posted> {
    fn seq(&self) -> i64 {
        self.message.seq
    }
}

/// A milestone that was announced.
#[derive(Debug)]
pub struct Announced {
    /// Its chat.
    pub chat: MatchId,
    /// What chat-service says of it.
    pub milestone: Milestone,
}

impl Announced {
    /// The `milestone_reached` event of a socket that has joined, whose cursor it moves.
    pub fn packet(&self, cursor: &str) -> Packet {
        recoverable(event::MILESTONE_REACHED, &self.json(), cursor)
    }

    /// The `milestone_reached` event of a socket that has not joined.
    pub fn notice(&self) -> Packet {
        Packet::event(event::MILESTONE_REACHED, &self.json())
    }

    fn json(&self) -> String {
        views::milestone_reached(self.chat.as_str(), &self.milestone)
    }
}

impl Sequenced for Arc<Announced> {
    fn seq(&self) -> i64 {
        self.milestone.rev
    }
}

/// An event whose last argument is the socket's cursor after it. A socket that is not recovered has an empty one and is
/// given none.
pub(crate) fn recoverable(name: &str, json: &str, cursor: &str) -> Packet {
    if cursor.is_empty() {
        return Packet::event(name, json);
    }
    Packet::recoverable(name, json, cursor)
}

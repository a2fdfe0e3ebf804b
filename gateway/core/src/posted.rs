//! A message that arrives for a user's sockets: decoded once and encoded once for all of them.

use std::sync::{Arc, OnceLock};

use proto::{MatchId, UserId, chat::Message};

use crate::{
    track::Counted,
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

    /// The message as clients see it.
    pub fn json(&self) -> &str {
        self.json.get_or_init(|| views::message(&self.message, self.fields))
    }

    /// The argument of `inbox_updated`.
    pub fn update_json(&self) -> String {
        let Message { match_id, seq, sender_id, .. } = &self.message;
        let updated = serde_json::json!({ "matchId": match_id, "lastSeq": seq, "senderId": sender_id });
        views::to_json(&updated)
    }
}

impl Counted for Arc<Posted> {
    fn number(&self) -> i64 {
        self.message.seq
    }
}

//! A command to a message that is stored, and what becomes of it.

use proto::{ClientId, MatchId};
use serde::Serialize;

use crate::{failure::Failure, views};

/// A command to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageCommand {
    /// The message.
    pub seq: i64,
    /// The client's own name for the command.
    pub client_id: Option<ClientId>,
    /// How the message is to change.
    pub act: MessageAct,
}

/// How a message is to change, for all or for the user alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageAct {
    /// It is to have this body, canonical JSON.
    Edit(String),
    /// It is to be deleted for everyone.
    Delete,
    /// It is to be hidden from the user alone.
    Hide,
    /// This emoji is to be the user's reaction, or is not to be it.
    React(String, bool),
}

/// The outcome of a command that was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageDone {
    /// The rev of the change; `None` when it takes none.
    pub rev: Option<i64>,
    /// Whether nothing had to be done.
    pub duplicate: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ack<'a> {
    ok: bool,
    match_id: &'a str,
    seq: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rev: Option<i64>,
    duplicate: bool,
}

impl MessageCommand {
    /// A command to the message with this seq, under the name that its client gave it.
    ///
    /// # Errors
    /// `INVALID_PAYLOAD` if one of them cannot be.
    pub fn new(seq: i64, client_id: Option<&str>, act: MessageAct) -> Result<Self, Failure> {
        let client_id = client_id.map(ClientId::new).transpose().map_err(|_| Failure::invalid())?;
        if seq < 1 { Err(Failure::invalid()) } else { Ok(Self { seq, client_id, act }) }
    }

    pub(crate) fn bytes(&self) -> usize {
        match &self.act {
            MessageAct::Edit(body) => body.len(),
            MessageAct::Delete | MessageAct::Hide | MessageAct::React(..) => 0,
        }
    }
}

impl MessageDone {
    /// As clients see it: `{ok, matchId, seq, rev?, duplicate}`.
    pub fn json(self, chat: &MatchId, seq: i64) -> String {
        let Self { rev, duplicate } = self;
        views::to_json(&Ack { ok: true, match_id: chat.as_str(), seq, rev, duplicate })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_named_by_a_seq_from_1() {
        for seq in [i64::MIN, -1, 0] {
            assert_eq!(MessageCommand::new(seq, None, MessageAct::Delete), Err(Failure::invalid()));
        }
        assert!(MessageCommand::new(1, Some("c"), MessageAct::Delete).is_ok());
        assert_eq!(MessageCommand::new(1, Some(""), MessageAct::Delete), Err(Failure::invalid()));
    }

    #[test]
    fn what_takes_no_rev_is_acked_without_one() {
        let chat = MatchId::new("m").unwrap();
        let json = |rev| MessageDone { rev, duplicate: false }.json(&chat, 7);
        assert_eq!(json(Some(3)), r#"{"ok":true,"matchId":"m","seq":7,"rev":3,"duplicate":false}"#);
        assert_eq!(json(None), r#"{"ok":true,"matchId":"m","seq":7,"duplicate":false}"#);
    }
}

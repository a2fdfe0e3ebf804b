//! `delete_message`: a message of the user's own is to be deleted for everyone, or any message is to be hidden from the
//! user.

use std::borrow::Cow;

use proto::MatchId;
use serde::Deserialize;

use crate::{
    arguments::{self, ClientEvent},
    failure::Failure,
    message_command::{MessageAct, MessageCommand},
    message_line::command_to,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeleteMessage<'a> {
    #[serde(borrow)]
    match_id: Cow<'a, str>,
    seq: i64,
    scope: Scope,
}

/// For whom a message is to be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// All members.
    Everyone,
    /// The user alone.
    Me,
}

impl Scope {
    /// The command that a deletion with this scope is.
    pub fn act(self) -> MessageAct {
        match self {
            Self::Everyone => MessageAct::Delete,
            Self::Me => MessageAct::Hide,
        }
    }
}

pub(crate) fn read(event: &ClientEvent<'_>) -> Result<(MatchId, MessageCommand), Failure> {
    let DeleteMessage { match_id, seq, scope } = arguments::argument(event)?;
    command_to(match_id, (seq, None), scope.act())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::tests::event;

    #[test]
    fn the_scope_is_one_of_two() {
        let read = |json| read(&event("delete_message", [Some(json), None])).map(|(_, command)| command.act);
        assert_eq!(read(r#"{"matchId":"m","seq":7,"scope":"everyone"}"#), Ok(MessageAct::Delete));
        assert_eq!(read(r#"{"matchId":"m","seq":7,"scope":"me"}"#), Ok(MessageAct::Hide));
        for json in [r#"{"matchId":"m","seq":7}"#, r#"{"matchId":"m","seq":7,"scope":"all"}"#, r#""m""#, "[]"] {
            assert_eq!(read(json), Err(Failure::invalid()), "{json}");
        }
    }
}

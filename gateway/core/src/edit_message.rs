//! `edit_message`: a message of the user's own is to have another content.

use std::borrow::Cow;

use proto::MatchId;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    arguments::{self, ClientEvent},
    failure::Failure,
    message_command::{MessageAct, MessageCommand},
    message_line::command_to,
    payload::Content,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EditMessage<'a> {
    #[serde(borrow)]
    match_id: Cow<'a, str>,
    seq: i64,
    #[serde(borrow)]
    message: &'a RawValue,
    #[serde(borrow)]
    client_id: Option<Cow<'a, str>>,
}

pub(crate) fn read(event: &ClientEvent<'_>) -> Result<(MatchId, MessageCommand), Failure> {
    let EditMessage { match_id, seq, message, client_id } = arguments::argument(event)?;
    let content = Content::parse(message.get())?;
    command_to(match_id, (seq, client_id), MessageAct::Edit(content.body))
}

#[cfg(test)]
mod tests {
    use proto::Code;

    use super::*;
    use crate::arguments::tests::event;

    #[test]
    fn the_content_is_canonical_and_within_the_bounds_of_a_message() {
        let read = |json: &str| read(&event("edit_message", [Some(json), None])).map(|(_, command)| command.act);
        let edit = read(r#"{"matchId":"m","seq":7,"message":{"b":1, "a":2}}"#);
        assert_eq!(edit, Ok(MessageAct::Edit(r#"{"a":2,"b":1}"#.to_owned())));
        let long = format!(r#"{{"matchId":"m","seq":7,"message":"{}"}}"#, "x".repeat(4_001));
        assert_eq!(read(&long), Err(Code::PayloadTooLarge.into()));
        for json in [
            "{}",
            r#"{"matchId":"m","seq":7}"#,
            r#"{"matchId":"m","seq":1.5,"message":"x"}"#,
            r#"{"matchId":"m","seq":"7","message":"x"}"#,
            r#"{"matchId":"m","seq":9007199254740992000000,"message":"x"}"#,
            r#"{"matchId":"m","seq":7,"message":7}"#,
            r#"{"matchId":"m","seq":7,"message":"x","clientId":7}"#,
        ] {
            assert_eq!(read(json), Err(Failure::invalid()), "{json}");
        }
    }
}

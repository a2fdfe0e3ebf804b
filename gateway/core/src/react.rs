//! `react`: an emoji is to be the user's reaction to a message, or is not to be it any more.

use std::borrow::Cow;

use proto::MatchId;
use serde::Deserialize;

use crate::{
    arguments::{self, ClientEvent},
    failure::Failure,
    message_command::{MessageAct, MessageCommand},
    message_line::command_to,
};

/// The longest emoji, in Unicode scalar values.
const MAX_SCALARS: usize = 8;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct React<'a> {
    #[serde(borrow)]
    match_id: Cow<'a, str>,
    seq: i64,
    #[serde(borrow)]
    emoji: Cow<'a, str>,
    on: bool,
    #[serde(borrow)]
    client_id: Option<Cow<'a, str>>,
}

pub(crate) fn read(event: &ClientEvent<'_>) -> Result<(MatchId, MessageCommand), Failure> {
    let React { match_id, seq, emoji, on, client_id } = arguments::argument(event)?;
    command_to(match_id, (seq, client_id), MessageAct::React(self::emoji(&emoji)?.to_owned(), on))
}

/// An emoji in its one fully qualified form: Unicode knows it as one, and it has at most 8 scalar values.
///
/// # Errors
/// `INVALID_PAYLOAD` if it is none.
pub fn emoji(text: &str) -> Result<&'static str, Failure> {
    let emoji = emojis::get(text).map(emojis::Emoji::as_str);
    emoji.filter(|emoji| emoji.chars().count() <= MAX_SCALARS).ok_or_else(Failure::invalid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::tests::event;

    #[test]
    fn an_emoji_is_one_that_unicode_knows_in_its_full_form() {
        for (text, is) in
            [("👍", "👍"), ("👍🏽", "👍🏽"), ("❤", "❤️"), ("❤️", "❤️"), ("🏳️‍🌈", "🏳️‍🌈"), ("🇩🇪", "🇩🇪"), ("1️⃣", "1️⃣")]
        {
            assert_eq!(emoji(text), Ok(is));
        }
        for text in ["", "a", "1", "👍👍", "👍 ", ":+1:", "\u{200d}", "👩🏻‍❤️‍💋‍👩🏻", &"👍".repeat(40)]
        {
            assert_eq!(emoji(text), Err(Failure::invalid()), "{text}");
        }
    }

    #[test]
    fn a_lone_surrogate_is_no_emoji() {
        let read = |json| read(&event("react", [Some(json), None])).map(|(_, command)| command.act);
        let react = read(r#"{"matchId":"m","seq":7,"emoji":"\ud83d\udc4d","on":true}"#);
        assert_eq!(react, Ok(MessageAct::React("👍".to_owned(), true)));
        for json in [r#"{"matchId":"m","seq":7,"emoji":"\ud83d","on":true}"#, r#"{"matchId":"m","seq":7,"emoji":"👍"}"#]
        {
            assert_eq!(read(json), Err(Failure::invalid()), "{json}");
        }
    }
}

//! `mark_delivered`: a device has chats up to these messages, as when a push has shown them.

use std::{borrow::Cow, collections::BTreeMap};

use proto::MatchId;
use serde::Deserialize;

use crate::{
    arguments::{self, ClientEvent},
    failure::Failure,
    marks::{Marks, Waiter},
    output::SocketId,
    reply::Reply,
    several::Several,
    step::{Limits, Step},
    turns::RETRY_AFTER,
};

/// Most chats of one command.
const MAX_CHATS: usize = 100;

#[derive(Deserialize)]
struct MarkDelivered<'a> {
    #[serde(borrow)]
    chats: Vec<Chat<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chat<'a> {
    #[serde(borrow)]
    match_id: Cow<'a, str>,
    seq: i64,
}

/// Takes a `mark_delivered`; one that is refused is answered.
pub(crate) fn take<L: Limits>(
    (socket, reply): (SocketId, Reply),
    event: &ClientEvent<'_>,
    marks: &mut Marks,
    step: &mut Step<'_, L>,
) {
    match read(event) {
        Ok(chats) if chats.is_empty() => step.ok(socket, &reply, Several::nothing()),
        Ok(chats) if !marks.has_room(chats.len()) => step.fail(socket, &reply, &Failure::rate_limited(RETRY_AFTER)),
        Ok(chats) => {
            let several = Several::new(socket, reply, chats.len());
            for (chat, seq) in chats {
                marks.delivered(&chat, seq, Some(Waiter::Several(several.clone())), step);
            }
        }
        Err(failure) => step.fail(socket, &reply, &failure),
    }
}

/// Up to 100 chats, each once with a message.
fn read(event: &ClientEvent<'_>) -> Result<Vec<(MatchId, i64)>, Failure> {
    let MarkDelivered { chats } = arguments::argument(event)?;
    if chats.len() > MAX_CHATS || chats.iter().any(|chat| chat.seq < 0) {
        return Err(Failure::invalid());
    }
    let mut highest = BTreeMap::new();
    for Chat { match_id, seq } in chats {
        let named: &mut i64 = highest.entry(arguments::match_id(match_id)?).or_default();
        *named = seq.max(*named);
    }
    Ok(highest.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::tests::event;

    #[test]
    fn at_most_100_chats_are_named() {
        let read = |json: &str| read(&event("mark_delivered", [Some(json), None])).map(|chats| chats.len());
        let chats = |count| format!(r#"{{"chats":[{}]}}"#, vec![r#"{"matchId":"m","seq":1}"#; count].join(","));
        assert_eq!((read(&chats(0)), read(&chats(100))), (Ok(0), Ok(1)));
        for json in
            [&chats(101), "{}", "[]", r#"{"chats":[{"matchId":"m"}]}"#, r#"{"chats":[{"matchId":"m","seq":-1}]}"#]
        {
            assert_eq!(read(json), Err(Failure::invalid()), "{json}");
        }
    }
}

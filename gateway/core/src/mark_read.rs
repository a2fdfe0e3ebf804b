//! `mark_read`: the user has read a chat up to a message.

use std::borrow::Cow;

use proto::{MatchId, chat::Position};
use serde::{Deserialize, Serialize};

use crate::{
    arguments::{self, ClientEvent},
    failure::Failure,
    marks::{Marks, Waiter},
    output::SocketId,
    reply::Reply,
    step::{Limits, Step},
    views,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MarkRead<'a> {
    #[serde(borrow)]
    match_id: Cow<'a, str>,
    seq: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ack<'a> {
    ok: bool,
    match_id: &'a str,
    read_seq: i64,
    delivered_seq: i64,
    unread: i64,
}

/// Takes a `mark_read`; one that is refused is answered.
pub(crate) fn take<L: Limits>(
    (socket, reply): (SocketId, Reply),
    event: &ClientEvent<'_>,
    marks: &mut Marks,
    step: &mut Step<'_, L>,
) {
    let read = if event.is_invalid { Err(Failure::invalid()) } else { read(event) };
    match read {
        Ok((chat, seq)) => marks.read(&chat, seq, Waiter::Read(socket, reply, seq), step),
        Err(failure) => step.fail(socket, &reply, &failure),
    }
}

/// The chat and the message. One of seq 0 asks where the user stands.
fn read(event: &ClientEvent<'_>) -> Result<(MatchId, i64), Failure> {
    let MarkRead { match_id, seq } = arguments::argument(event)?;
    if seq < 0 { Err(Failure::invalid()) } else { Ok((arguments::match_id(match_id)?, seq)) }
}

/// Answers when it is known where the user stands. A message beyond the head cannot be read.
pub(crate) fn end<L: Limits>(
    (socket, reply): (SocketId, &Reply),
    (chat, seq): (&MatchId, i64),
    marked: &Result<Position, Failure>,
    step: &mut Step<'_, L>,
) {
    match marked {
        Ok(position) if seq > position.last_seq => step.fail(socket, reply, &Failure::invalid()),
        Ok(position) => step.ok(socket, reply, ack(chat, position)),
        Err(failure) => step.fail(socket, reply, failure),
    }
}

/// What the user is told: `{ok, matchId, readSeq, deliveredSeq, unread}`.
pub fn ack(chat: &MatchId, position: &Position) -> String {
    let &Position { read_seq, delivered_seq, unread, .. } = position;
    views::to_json(&Ack { ok: true, match_id: chat.as_str(), read_seq, delivered_seq, unread })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::tests::event;

    #[test]
    fn a_seq_is_a_whole_number_from_0() {
        let read = |json| read(&event("mark_read", [Some(json), None]));
        assert_eq!(read(r#"{"matchId":"m","seq":7}"#), Ok((MatchId::new("m").unwrap(), 7)));
        for json in
            [r#""m""#, "{}", r#"{"matchId":"m"}"#, r#"{"matchId":"m","seq":-1}"#, r#"{"matchId":"m","seq":1.5}"#]
        {
            assert_eq!(read(json), Err(Failure::invalid()), "{json}");
        }
    }
}

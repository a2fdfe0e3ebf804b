//! The bodies of the client contract, as a user reads and writes them.

use std::{borrow::Cow, time::Duration};

pub(super) use load_test::message::Refusal;
use load_test::message::{self, seq};
use promises::Tag;
use serde::Deserialize;
use serde_json::Value;

use crate::{body, crowd::room::Room};

/// How a cursor begins: its first version counted milestones, the second one counts all changes of a match.
const VERSIONS: [&str; 2] = ["1~", "2~"];

/// The answer to CONNECT.
#[derive(Debug, Deserialize)]
pub(super) struct Accepted {
    pub(super) sid: String,
    #[serde(default)]
    pub(super) pid: String,
}

/// An ack of any kind.
pub(super) type Ack<'a> = message::Ack<Message<'a>>;

/// The pause before another try, if the server names none, as `sendReliably` has it.
pub(super) const PAUSE: Duration = Duration::from_millis(500);

/// How long to wait before the next try.
pub(super) fn pause(refusal: &Refusal) -> Duration {
    refusal.pause().unwrap_or(PAUSE)
}

/// `receive_message`, and a message of a page.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) match_id: Cow<'a, str>,
    #[serde(deserialize_with = "seq")]
    pub(super) seq: u32,
    #[serde(borrow)]
    sender_id: Cow<'a, str>,
    #[serde(borrow)]
    client_id: Option<Cow<'a, str>>,
    #[serde(rename = "message")]
    body: Value,
}

/// Any other event: what of it matters here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Told<'a> {
    #[serde(borrow)]
    pub(super) match_id: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) last_seq: u32,
    #[serde(default)]
    pub(super) milestones: Vec<Value>,
    #[serde(default)]
    pub(super) milestone: u32,
    #[serde(default)]
    pub(super) message_count: u32,
    #[serde(borrow)]
    pub(super) call_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) reason: Option<Cow<'a, str>>,
}

/// A page by REST.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page<'a> {
    #[serde(borrow)]
    pub(super) messages: Vec<Message<'a>>,
    pub(super) has_more: bool,
}

impl Message<'_> {
    /// Which message it is; none if its parts do not belong together.
    pub(super) fn tag(&self, room: &Room) -> Option<Tag> {
        let tag = body::tag_of(&self.body)?;
        let is_sender = room.users.get(usize::from(tag.slot)).is_some_and(|user| *user == self.sender_id);
        let is_named = self.client_id.as_deref() == Some(&*body::client_id(tag));
        (is_sender && is_named && self.match_id == room.id).then_some(tag)
    }
}

/// The last argument of an event, if it is a cursor.
pub(super) fn offset(arguments: &str) -> Option<&str> {
    let (_, cursor) = arguments.strip_suffix('"')?.rsplit_once(",\"")?;
    VERSIONS.iter().any(|version| cursor.starts_with(version)).then_some(cursor)
}

/// Whether a cursor belongs to this pid.
pub(super) fn is_of(offset: &str, pid: &str) -> bool {
    offset.split('~').nth(1).is_some_and(|tag| !tag.is_empty() && pid.starts_with(tag))
}

/// A chat's place in a cursor: its seq, and how many changes of the match were told.
pub(super) fn position(offset: &str, match_id: &str) -> Option<(u32, u16)> {
    let place = offset.split('~').skip(2).find_map(|place| place.strip_prefix(match_id)?.strip_prefix(':'))?;
    let (seq, changes) = place.split_once(':')?;
    Some((seq.parse().ok()?, changes.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_is_the_last_argument() {
        assert_eq!(offset(r#"{"message":"x"},"1~TAG~m:7:0""#), Some("1~TAG~m:7:0"));
        assert_eq!(offset(r#"{"message":"x"},"2~TAG~epoch~m:7:0""#), Some("2~TAG~epoch~m:7:0"));
        assert_eq!(offset(r#"{"message":"1~a"}"#), None);
        assert_eq!(offset(r#"{"a":1},"text""#), None);
    }

    #[test]
    fn a_cursor_has_a_place_for_each_open_chat() {
        let offset = "1~TAG~m-1:7:0~m-12:100:1";
        assert_eq!(position("2~TAG~epoch~m-1:7:2~!call:3", "m-1"), Some((7, 2)));
        assert_eq!(position(offset, "m-1"), Some((7, 0)));
        assert_eq!(position(offset, "m-12"), Some((100, 1)));
        assert_eq!(position(offset, "m"), None);
    }
}

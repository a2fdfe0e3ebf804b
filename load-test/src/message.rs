//! The bodies of the client contract that a simulated user writes and reads.

use std::{borrow::Cow, time::Duration};

use proto::client::command::{JOIN_CHAT, SEND_MESSAGE};
use serde::Deserialize;

use crate::{
    identity::{Pair, Tag},
    inbox::{Incoming, Page},
};

/// Why an ack says `ok: false`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal<'a> {
    /// The code, as the table of the client contract has it.
    #[serde(borrow)]
    pub code: Cow<'a, str>,
    /// Whether the same may succeed later.
    #[serde(default)]
    pub retryable: bool,
    /// How long the server asks to wait.
    pub retry_after_ms: Option<u64>,
}

/// The ack of `send_message`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SendAck<'a> {
    /// The place in the match, if it was stored.
    pub seq: Option<u64>,
    /// Whether it had been stored before.
    #[serde(default)]
    pub duplicate: bool,
    /// Why it was not.
    #[serde(borrow)]
    pub error: Option<Refusal<'a>>,
}

/// The ack of `join_chat`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinAck<'a> {
    /// The last seq of the match.
    #[serde(default)]
    pub last_seq: u64,
    /// The page after `sinceSeq`.
    #[serde(default, borrow)]
    pub messages: Vec<Received<'a>>,
    /// Whether more follow.
    #[serde(default)]
    pub has_more: bool,
    /// Why the chat was not joined.
    #[serde(borrow)]
    pub error: Option<Refusal<'a>>,
}

/// What matters of a received message: `receive_message`, and the messages of a page.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Received<'a> {
    /// Its place in the match.
    pub seq: u64,
    /// Who wrote it.
    #[serde(borrow)]
    pub sender_id: Cow<'a, str>,
    /// The sender's name for it.
    #[serde(borrow)]
    pub client_id: Option<Cow<'a, str>>,
}

impl Refusal<'_> {
    /// How long the server asks to wait.
    pub fn pause(&self) -> Option<Duration> {
        self.retry_after_ms.map(Duration::from_millis)
    }
}

impl Received<'_> {
    /// The message as one of this pair in this run.
    pub fn incoming(&self, run: &str, pair: &Pair) -> Incoming {
        let tag = self.client_id.as_deref().and_then(|id| Tag::parse(run, id));
        Incoming { seq: self.seq, sent: pair.side_of(&self.sender_id).zip(tag) }
    }
}

impl JoinAck<'_> {
    /// The page as one of this pair in this run.
    pub fn page(&self, run: &str, pair: &Pair) -> Page {
        Page {
            messages: self.messages.iter().map(|message| message.incoming(run, pair)).collect(),
            last_seq: self.last_seq,
            has_more: self.has_more,
        }
    }
}

/// The frame that opens a chat, from `since` if it was open before.
pub fn join_chat(ack_id: u64, match_id: &str, since: Option<u64>) -> String {
    match since {
        Some(since) => format!(r#"42{ack_id}["{JOIN_CHAT}",{{"matchId":"{match_id}","sinceSeq":{since}}}]"#),
        None => format!(r#"42{ack_id}["{JOIN_CHAT}","{match_id}"]"#),
    }
}

/// The frame that sends a message. `body` is JSON already, so that it is encoded once per run.
pub fn send_message(ack_id: u64, match_id: &str, body: &str, client_id: &str) -> String {
    format!(r#"42{ack_id}["{SEND_MESSAGE}",{{"matchId":"{match_id}","message":{body},"clientId":"{client_id}"}}]"#)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Side;

    #[test]
    fn commands_are_socket_io_events_with_an_ack_id() {
        assert_eq!(join_chat(3, "m", None), r#"423["join_chat","m"]"#);
        assert_eq!(join_chat(4, "m", Some(9)), r#"424["join_chat",{"matchId":"m","sinceSeq":9}]"#);
        assert_eq!(
            send_message(5, "m", "\"xx\"", "r-0-1"),
            r#"425["send_message",{"matchId":"m","message":"xx","clientId":"r-0-1"}]"#
        );
    }

    #[test]
    fn a_refusal_tells_whether_and_when_to_try_again() {
        let text = r#"{"ok":false,"error":{"code":"RATE_LIMITED","message":"…","retryable":true,"retryAfterMs":150}}"#;
        let ack: SendAck<'_> = serde_json::from_str(text).unwrap();
        let error = ack.error.unwrap();
        assert_eq!((&*error.code, error.retryable, error.retry_after_ms), ("RATE_LIMITED", true, Some(150)));
    }

    #[test]
    fn a_page_keeps_own_messages_apart() {
        let text = r#"{"ok":true,"matchId":"m","lastSeq":3,"hasMore":false,"milestones":[],"unlocked":[],"call":null,
            "messages":[{"id":"m:1","seq":1,"senderId":"load-r-0-a","clientId":"r-0-5","message":"x"},
                        {"id":"m:2","seq":2,"senderId":"load-r-0-b","clientId":"r-7-5","message":"x"},
                        {"id":"m:3","seq":3,"senderId":"load-r-0-b","clientId":null,"message":{"a":1}}]}"#;
        let page = serde_json::from_str::<JoinAck<'_>>(text).unwrap().page("r", &Pair::new("r", 0));
        assert_eq!((page.last_seq, page.has_more), (3, false));
        let from_b: Vec<_> = page.messages.iter().map(|message| message.from_other(Side::A)).collect();
        assert_eq!(from_b.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, false]);
        assert_eq!(page.messages.iter().filter(|message| message.tag().is_none()).count(), 1);
    }
}

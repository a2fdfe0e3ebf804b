//! The bodies of the client contract that a simulated user writes and reads.

use std::{borrow::Cow, time::Duration};

use proto::{
    Code,
    client::command::{JOIN_CHAT, MARK_READ, SEND_MESSAGE},
};
use serde::{Deserialize, Deserializer};

use crate::{
    identity::{Pair, Tag},
    inbox::Incoming,
};

/// Why something is refused, by ack or by REST.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// As the table of the client contract has it.
    pub code: String,
    /// Whether the same may succeed later.
    #[serde(default)]
    pub retryable: bool,
    retry_after_ms: Option<u64>,
}

/// An ack of any kind, with messages as far as they matter: `M`. What an ack does not say is zero, none, or false.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the client contract has these names")]
pub struct Ack<M> {
    pub ok: bool,
    pub error: Option<Refusal>,
    #[serde(default, deserialize_with = "seq")]
    pub seq: u32,
    #[serde(default)]
    pub duplicate: bool,
    #[serde(default, deserialize_with = "seq")]
    pub last_seq: u32,
    #[serde(default = "Vec::new")]
    pub messages: Vec<M>,
    #[serde(default)]
    pub has_more: bool,
    pub call_id: Option<String>,
}

/// What matters of a received message: `receive_message`, and the messages of a page.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Received<'a> {
    #[serde(deserialize_with = "seq")]
    seq: u32,
    #[serde(borrow)]
    sender_id: Cow<'a, str>,
    #[serde(borrow)]
    client_id: Option<Cow<'a, str>>,
}

/// Reads a seq as the checker counts; a larger one is none that the system gives.
pub fn seq<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    Ok(u32::try_from(u64::deserialize(deserializer)?).unwrap_or(u32::MAX))
}

impl Refusal {
    /// The code, if the contract knows it.
    pub fn code(&self) -> Option<Code> {
        Code::ALL.into_iter().find(|code| code.as_str() == self.code)
    }

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

/// The frame that opens a chat, from `since` if it was open before.
pub fn join_chat(ack_id: u64, match_id: &str, since: Option<u32>) -> String {
    match since {
        Some(since) => format!(r#"42{ack_id}["{JOIN_CHAT}",{{"matchId":"{match_id}","sinceSeq":{since}}}]"#),
        None => format!(r#"42{ack_id}["{JOIN_CHAT}","{match_id}"]"#),
    }
}

/// The frame that sends a message. `body` is JSON already, so that it is encoded once per run.
pub fn send_message(ack_id: u64, match_id: &str, body: &str, client_id: &str) -> String {
    format!(r#"42{ack_id}["{SEND_MESSAGE}",{{"matchId":"{match_id}","message":{body},"clientId":"{client_id}"}}]"#)
}

/// The frame that marks a message as read, without an ack.
pub fn mark_read(match_id: &str, seq: u32) -> String {
    format!(r#"42["{MARK_READ}",{{"matchId":"{match_id}","seq":{seq}}}]"#)
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
        assert_eq!(mark_read("m", 7), r#"42["mark_read",{"matchId":"m","seq":7}]"#);
    }

    #[test]
    fn a_refusal_tells_whether_and_when_to_try_again() {
        let text = r#"{"ok":false,"error":{"code":"RATE_LIMITED","message":"…","retryable":true,"retryAfterMs":150}}"#;
        let error = serde_json::from_str::<Ack<Received<'_>>>(text).unwrap().error.unwrap();
        assert_eq!((error.code(), error.retryable), (Some(Code::RateLimited), true));
        assert_eq!(error.pause(), Some(Duration::from_millis(150)));
        assert_eq!(serde_json::from_str::<Refusal>(r#"{"code":"OOPS"}"#).unwrap().code(), None);
    }

    #[test]
    fn a_page_keeps_own_messages_apart() {
        let text = r#"{"ok":true,"matchId":"m","lastSeq":3,"hasMore":false,"milestones":[],"unlocked":[],"call":null,
            "messages":[{"id":"m:1","seq":1,"senderId":"load-r-0-a","clientId":"r-0-5","message":"x"},
                        {"id":"m:2","seq":2,"senderId":"load-r-0-b","clientId":"r-7-5","message":"x"},
                        {"id":"m:3","seq":3,"senderId":"load-r-0-b","clientId":null,"message":{"a":1}}]}"#;
        let ack: Ack<Received<'_>> = serde_json::from_str(text).unwrap();
        assert_eq!((ack.last_seq, ack.has_more), (3, false));
        let pair = Pair::new("r", 0);
        let messages: Vec<_> = ack.messages.iter().map(|message| message.incoming("r", &pair)).collect();
        let from_b: Vec<_> = messages.iter().map(|message| message.from_other(Side::A).is_some()).collect();
        assert_eq!(from_b, [false, true, false]);
        assert_eq!(messages.iter().filter(|message| message.tag().is_none()).count(), 1);
    }
}

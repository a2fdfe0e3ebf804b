//! What a client reads of what it hears: JSON, as the official one has it.

use promises::Tag;
use proto::{Code, chat::Stored};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use crate::{
    cast::Cast,
    promises::{is_author, ord, tag_of},
};

/// The content of an ack.
#[derive(Debug, Clone)]
pub(super) enum Answered {
    Sent(Stored),
    Joined { last_seq: i64, messages: Vec<String>, has_more: bool, milestones: usize },
    Done,
    Failed { code: Code, retry_after_ms: Option<u64> },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ack<'a> {
    error: Option<Error>,
    seq: Option<i64>,
    client_id: Option<String>,
    #[serde(default)]
    duplicate: bool,
    last_seq: Option<i64>,
    #[serde(borrow, default)]
    messages: Vec<&'a RawValue>,
    #[serde(default)]
    has_more: bool,
    #[serde(default)]
    milestones: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Error {
    code: String,
    retry_after_ms: Option<u64>,
}

/// What events have in them, and what the client emits.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Heard {
    #[serde(default)]
    match_id: String,
    #[serde(default)]
    sender_id: String,
    #[serde(default)]
    client_id: String,
    message: Option<Box<RawValue>>,
    #[serde(default)]
    pub(super) seq: i64,
    /// Of `inbox_updated`.
    #[serde(default)]
    pub(super) last_seq: i64,
    #[serde(default)]
    pub(super) milestone: i64,
    #[serde(default)]
    pub(super) is_typing: bool,
    #[serde(default)]
    pub(super) call_id: String,
    #[serde(default)]
    pub(super) user_id: String,
    #[serde(default)]
    pub(super) after_seq: i64,
    #[serde(default)]
    pub(super) added: Vec<String>,
    pub(super) reason: Option<String>,
}

impl Answered {
    /// Reads an ack; one that cannot be read is a failure of the gateway's.
    pub(super) fn read(json: &str) -> Self {
        let Ok(ack) = serde_json::from_str::<Ack<'_>>(json) else {
            return Self::Failed { code: Code::Internal, retry_after_ms: None };
        };
        match ack {
            Ack { error: Some(Error { code, retry_after_ms }), .. } => {
                let code = Code::ALL.into_iter().find(|known| known.as_str() == code).unwrap_or(Code::Internal);
                Self::Failed { code, retry_after_ms }
            }
            Ack { seq: Some(seq), client_id: Some(client_id), duplicate, .. } => {
                Self::Sent(Stored { seq, created_at_ms: 0, duplicate, client_id })
            }
            Ack { last_seq: Some(last_seq), messages, has_more, milestones, .. } => Self::Joined {
                last_seq,
                messages: messages.into_iter().map(|message| message.get().to_owned()).collect(),
                has_more,
                milestones: milestones.len(),
            },
            _ => Self::Done,
        }
    }
}

impl Heard {
    /// Reads the argument of an event.
    pub(super) fn read(json: &str) -> Self {
        serde_json::from_str(json).unwrap_or_default()
    }

    /// The match that it is about.
    pub(super) fn chat(&self, cast: &Cast) -> Option<usize> {
        cast.chat(&self.match_id)
    }

    /// Which message it is; none if that is not what its sender wrote.
    pub(super) fn tag(&self, cast: &Cast) -> Option<Tag> {
        self.tag_to_send(cast).filter(|tag| is_author(cast, *tag, &self.sender_id))
    }

    /// Which message is being sent: it does not name its sender yet.
    pub(super) fn tag_to_send(&self, cast: &Cast) -> Option<Tag> {
        tag_of(cast, &self.client_id, self.message.as_ref()?.get())
    }

    /// Which of the milestones was reached.
    pub(super) fn ord(&self) -> u16 {
        ord(self.milestone)
    }
}

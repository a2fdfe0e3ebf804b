//! What a client reads of what it hears: JSON, as the official one has it.

use promises::Tag;
use proto::{Code, chat::Stored};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use crate::cast::Cast;

/// The content of an ack.
#[derive(Debug, Clone)]
pub(super) enum Answered {
    Sent(Stored),
    Joined { last_seq: i64, messages: Vec<String>, has_more: bool, milestones: usize, changes: Changes },
    Changed { rev: i64, duplicate: bool },
    Done,
    Failed { code: Code, retry_after_ms: Option<u64> },
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Ack<'a> {
    error: Option<Error>,
    seq: Option<i64>,
    client_id: Option<String>,
    duplicate: bool,
    last_seq: Option<i64>,
    #[serde(borrow)]
    messages: Vec<&'a RawValue>,
    has_more: bool,
    milestones: Vec<IgnoredAny>,
    rev: i64,
    #[serde(borrow)]
    changes: Vec<&'a RawValue>,
    limited: bool,
}

/// What a join tells of changes.
#[derive(Debug, Clone)]
pub(super) struct Changes {
    /// The match's rev.
    pub(super) rev: i64,
    /// Those that were asked for.
    pub(super) since: Vec<String>,
    /// Whether there are more.
    pub(super) limited: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Error {
    code: String,
    retry_after_ms: Option<u64>,
}

/// What events have in them, and what the client emits.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Heard {
    match_id: String,
    sender_id: String,
    client_id: String,
    message: Option<Box<RawValue>>,
    pub(super) seq: i64,
    pub(super) rev: i64,
    pub(super) kind: String,
    pub(super) reactions: Option<Box<RawValue>>,
    /// Of `inbox_updated`.
    pub(super) last_seq: i64,
    pub(super) milestone: i64,
    pub(super) is_typing: bool,
    pub(super) call_id: String,
    pub(super) user_id: String,
    pub(super) after_seq: i64,
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
            Ack { seq: Some(_), rev, duplicate, .. } => Self::Changed { rev, duplicate },
            Ack { last_seq: Some(last_seq), messages, has_more, milestones, rev, changes, limited, .. } => {
                Self::Joined {
                    changes: Changes {
                        rev,
                        since: changes.into_iter().map(|one| one.get().to_owned()).collect(),
                        limited,
                    },
                    last_seq,
                    messages: messages.into_iter().map(|message| message.get().to_owned()).collect(),
                    has_more,
                    milestones: milestones.len(),
                }
            }
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
        cast.tag_by(&self.sender_id, &self.client_id, self.message.as_ref()?.get())
    }

    /// Which message is being sent: it does not name its sender yet.
    pub(super) fn tag_to_send(&self, cast: &Cast) -> Option<Tag> {
        cast.tag_of(&self.client_id, self.message.as_ref()?.get())
    }
}

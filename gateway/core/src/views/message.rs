//! A message as clients see it: the same in `receive_message`, in the pages of `join_chat` and in REST.

use std::{borrow::Cow, collections::BTreeMap};

use proto::{chat::Message, rfc3339};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{json::raw, reactions::ReactionsView};

/// The names of the contract's messages, of now and of later, which a sender cannot write at the top level.
const RESERVED: [&str; 17] = [
    "id",
    "matchId",
    "seq",
    "senderId",
    "message",
    "clientId",
    "createdAt",
    "timestamp",
    "rev",
    "replyTo",
    "reactions",
    "editedAt",
    "deleted",
    "media",
    "kind",
    "state",
    "afterSeq",
];
/// Names with a meaning of their own in JavaScript. Pages copy messages field by field, and must not copy these.
const OF_JAVASCRIPT: [&str; 2] = ["prototype", "constructor"];
/// How names begin that JavaScript (`__proto__`) or a query language of databases (`$where`) gives a meaning.
const RESERVED_PREFIXES: [&str; 2] = ["__", "$"];

/// Where clients find the fields of an object message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageFields {
    /// In `message`, and beside the message's own fields as well.
    Spread,
    /// In `message` only.
    Nested,
}

/// The id of a message, which names its match and its place there.
#[derive(Debug, Clone, Copy)]
pub struct MessageId<'a>(pub &'a str, pub i64);

impl Serialize for MessageId<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}:{}", self.0, self.1))
    }
}

/// `{id, matchId, seq, senderId, message, clientId, createdAt, timestamp, replyTo?, editedAt?, reactions?, deleted?}`,
/// and what the body spreads beside them. A deleted message has no `message`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageView<'a> {
    id: MessageId<'a>,
    match_id: &'a str,
    seq: i64,
    sender_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a RawValue>,
    client_id: &'a str,
    #[serde(flatten)]
    time: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    edited_at: Option<String>,
    #[serde(skip_serializing_if = "ReactionsView::is_empty")]
    reactions: ReactionsView<'a>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
    #[serde(flatten)]
    spread: Spread<'a>,
}

/// When a message was stored, under both of its names.
#[derive(Debug)]
struct Time(String);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([("createdAt", &self.0), ("timestamp", &self.0)])
    }
}

/// The fields of an object body that stand at the top level too.
#[derive(Debug, Default, Deserialize)]
struct Spread<'a>(#[serde(borrow)] BTreeMap<Key<'a>, &'a RawValue>);

/// Borrowed unless it holds an escape.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl Serialize for Spread<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (&key.0, value)))
    }
}

impl<'a> MessageView<'a> {
    /// The view of `message`. Spread, the clients of the seed find a body's own fields where they look for them.
    pub fn new(message: &'a Message, fields: MessageFields) -> Self {
        Self {
            id: MessageId(&message.match_id, message.seq),
            match_id: &message.match_id,
            seq: message.seq,
            sender_id: &message.sender_id,
            message: (!message.deleted).then(|| raw(&message.body)),
            client_id: &message.client_id,
            time: Time(rfc3339::write(message.created_at_ms)),
            reply_to: message.reply_to,
            edited_at: message.edited_at_ms.map(rfc3339::write),
            reactions: ReactionsView::new(&message.reactions),
            deleted: message.deleted,
            spread: match fields {
                MessageFields::Spread => Spread::of(&message.body),
                MessageFields::Nested => Spread::default(),
            },
        }
    }
}

impl<'a> Spread<'a> {
    fn of(body: &'a str) -> Self {
        if !body.starts_with('{') {
            return Self::default();
        }
        let mut fields: Self = serde_json::from_str(body).unwrap_or_default();
        fields.0.retain(|key, _| !is_reserved(&key.0));
        fields
    }
}

/// Whether a field of a body stays in `message`.
fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
        || OF_JAVASCRIPT.contains(&name)
        || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

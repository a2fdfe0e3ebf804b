//! A message as `receive_message` and REST show it.

use std::{borrow::Cow, collections::BTreeMap};

use proto::chat::Message;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use service_kit::clock;

/// The names of a message's own fields, which a spread body cannot replace.
const OWN_FIELDS: [&str; 8] = ["id", "matchId", "seq", "senderId", "message", "clientId", "createdAt", "timestamp"];

/// `{id, matchId, seq, senderId, message, clientId, createdAt, timestamp}`, and what the body spreads beside them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageView<'a> {
    id: String,
    match_id: &'a str,
    seq: i64,
    sender_id: &'a str,
    message: &'a RawValue,
    client_id: &'a str,
    created_at: String,
    timestamp: String,
    #[serde(flatten)]
    spread: Spread<'a>,
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
    /// The view of `message`; with `spread` the clients of the seed find a body's own fields where they look for them.
    pub fn new(message: &'a Message, spread: bool) -> Self {
        let created_at = clock::rfc3339(message.created_at_ms);
        Self {
            id: format!("{}:{}", message.match_id, message.seq),
            match_id: &message.match_id,
            seq: message.seq,
            sender_id: &message.sender_id,
            message: super::raw(&message.body),
            client_id: &message.client_id,
            timestamp: created_at.clone(),
            created_at,
            spread: if spread { Spread::of(&message.body) } else { Spread::default() },
        }
    }
}

impl<'a> Spread<'a> {
    fn of(body: &'a str) -> Self {
        if !body.starts_with('{') {
            return Self::default();
        }
        let mut fields: Self = serde_json::from_str(body).unwrap_or_default();
        fields.0.retain(|key, _| !OWN_FIELDS.contains(&&*key.0));
        fields
    }
}

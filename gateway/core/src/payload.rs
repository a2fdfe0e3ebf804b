//! What clients send, checked: message bodies made canonical, and the id under which a message is stored once.

mod compact;
mod depth;

use proto::{ClientId, Code, MatchId};
use serde_json::Value;
use uuid::Builder;

use crate::{failure::Failure, moment::Moment};

pub use compact::compact;
pub use depth::{MAX_JSON_DEPTH, is_too_deep};

/// The longest text message, in Unicode scalar values.
pub const MAX_TEXT_CHARS: usize = 4_000;
/// The largest object message, in bytes of its canonical JSON.
pub const MAX_OBJECT_BYTES: usize = 16 * 1024;

/// A message's content, fit to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Canonical JSON: keys sorted, no white space, each value in one notation. Equal bodies have equal bytes.
    pub body: String,
    /// The `_id` and `id` of an object that may be the id of a message. They name none unless chat-service says so.
    ids: Vec<String>,
}

impl Content {
    /// Reads a client's `message`, given as raw JSON.
    ///
    /// `INVALID_PAYLOAD` unless it is a string or an object of legal JSON; `PAYLOAD_TOO_LARGE` above the limits.
    pub fn parse(json: &str) -> Result<Self, Failure> {
        if is_plain(json) {
            if json.chars().count() > MAX_TEXT_CHARS + 2 {
                return Err(Code::PayloadTooLarge.into());
            }
            return Ok(Self { body: json.to_owned(), ids: Vec::new() });
        }
        if is_too_deep(json) {
            return Err(Failure::invalid());
        }
        let value: Value = serde_json::from_str(json).map_err(|_| Failure::invalid())?;
        Self::from_value(&value)
    }

    fn from_value(value: &Value) -> Result<Self, Failure> {
        let ids = match value {
            Value::String(text) if text.chars().count() > MAX_TEXT_CHARS => return Err(Code::PayloadTooLarge.into()),
            Value::String(_) => Vec::new(),
            Value::Object(fields) => message_ids(fields),
            _ => return Err(Failure::invalid()),
        };
        // serde_json's maps are sorted by key.
        let body = value.to_string();
        if value.is_object() && body.len() > MAX_OBJECT_BYTES {
            return Err(Code::PayloadTooLarge.into());
        }
        Ok(Self { body, ids })
    }

    /// What an object says that it was saved as, if that may be a message of this match: its `_id` or its `id`.
    pub fn saved_as(&self, chat: &MatchId) -> Option<&str> {
        let of_match = |id: &&String| id.strip_prefix(chat.as_str()).is_some_and(|rest| rest.starts_with(':'));
        self.ids.iter().find(of_match).map(String::as_str)
    }
}

/// The id under which a message is stored once: the given one, else a new UUID of version 7. `INVALID_PAYLOAD` if the
/// given one is malformed.
///
/// An object's own `_id` or `id` is none: two messages may well show the same thing.
pub fn client_id(given: Option<&str>, moment: Moment) -> Result<ClientId, Failure> {
    given.map_or_else(|| new_client_id(moment), |given| ClientId::new(given).map_err(|_| Failure::invalid()))
}

/// Whether raw JSON is a string without escapes that needs none: then it is canonical as it stands.
fn is_plain(json: &str) -> bool {
    let inner = json.strip_prefix('"').and_then(|json| json.strip_suffix('"'));
    inner.is_some_and(|inner| inner.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\'))
}

/// The ids of an object that look like `<matchId>:<seq>`.
fn message_ids(fields: &serde_json::Map<String, Value>) -> Vec<String> {
    let named = ["_id", "id"].into_iter().filter_map(|key| fields.get(key)?.as_str());
    named.filter(|id| id.contains(':')).map(str::to_owned).collect()
}

fn new_client_id(moment: Moment) -> Result<ClientId, Failure> {
    let mut chance = [0; 10];
    chance[..8].copy_from_slice(&moment.chance(0).to_le_bytes());
    chance[8..].copy_from_slice(&moment.chance(1).to_le_bytes()[..2]);
    let id = Builder::from_unix_timestamp_millis(moment.unix_ms.unsigned_abs(), &chance).into_uuid();
    ClientId::new(id.to_string()).map_err(|_| Code::Internal.into())
}

#[cfg(test)]
mod tests;

//! What clients send, checked: message bodies made canonical, and the id under which a message is stored once.

mod compact;
mod depth;

use proto::{ClientId, Code};
use serde_json::Value;
use uuid::Uuid;

use crate::failure::Failure;

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
    /// The string `_id`, else `id`, of an object: the app's own name of the message.
    pub own_id: Option<String>,
}

impl Content {
    /// Reads a client's `message`, given as raw JSON.
    ///
    /// `INVALID_PAYLOAD` unless it is a string or an object of legal JSON; `PAYLOAD_TOO_LARGE` above the limits.
    pub fn parse(json: &str) -> Result<Self, Failure> {
        if is_too_deep(json) {
            return Err(Failure::invalid());
        }
        let value: Value = serde_json::from_str(json).map_err(|_| Failure::invalid())?;
        Self::from_value(&value)
    }

    fn from_value(value: &Value) -> Result<Self, Failure> {
        let own_id = match value {
            Value::String(text) if text.chars().count() > MAX_TEXT_CHARS => return Err(Code::PayloadTooLarge.into()),
            Value::String(_) => None,
            Value::Object(fields) => own_id(fields),
            _ => return Err(Failure::invalid()),
        };
        // serde_json's maps are sorted by key.
        let body = value.to_string();
        if value.is_object() && body.len() > MAX_OBJECT_BYTES {
            return Err(Code::PayloadTooLarge.into());
        }
        Ok(Self { body, own_id })
    }

    /// The id under which the message is stored once: the given one, else the object's own if it can be one, else a new
    /// UUID of version 7. `INVALID_PAYLOAD` if the given one is malformed.
    pub fn client_id(&self, given: Option<&str>) -> Result<ClientId, Failure> {
        if let Some(given) = given {
            return ClientId::new(given).map_err(|_| Failure::invalid());
        }
        let own = self.own_id.as_deref().and_then(|id| ClientId::new(id).ok());
        own.map_or_else(new_client_id, Ok)
    }
}

fn own_id(fields: &serde_json::Map<String, Value>) -> Option<String> {
    let named = |name| fields.get(name).and_then(Value::as_str).filter(|id| !id.is_empty());
    named("_id").or_else(|| named("id")).map(str::to_owned)
}

fn new_client_id() -> Result<ClientId, Failure> {
    ClientId::new(Uuid::now_v7().to_string()).map_err(|_| Code::Internal.into())
}

#[cfg(test)]
mod tests;

//! Whether an object that a client emits is a message that it has saved by REST before. Pure.
//!
//! Pages of the seed save a message by REST and then emit what came back: the whole answer, or the content with the
//! answer's id in `_id`. Such an object is the message, and not another one. But `_id` and `id` are also ordinary names
//! in an object of the app, as of a GIF, so the id alone says nothing: the content has to be the same, too.

use std::collections::BTreeMap;

use proto::{MatchId, chat::Message};
use serde_json::{Map, Value, json, value::RawValue};
use service_kit::clock;

use crate::digest::{Digest, digest};

/// The seqs that the `_id` and the `id` of an object name: those that are ids of messages of this match,
/// `<matchId>:<seq>`.
pub fn seqs_named_by(object: &str, id: &MatchId) -> Vec<i64> {
    let Ok(Value::Object(fields)) = serde_json::from_str(object) else { return Vec::new() };
    let names = ["_id", "id"].into_iter().filter_map(|key| fields.get(key)?.as_str());
    let mut seqs: Vec<i64> = names.filter_map(|name| seq_named_by(name, id)).collect();
    seqs.dedup();
    seqs
}

/// The seq in `<matchId>:<seq>`, if `name` is the id of a message of this match.
pub fn seq_named_by(name: &str, id: &MatchId) -> Option<i64> {
    let digits = name.strip_prefix(id.as_str())?.strip_prefix(':')?;
    let seq: i64 = digits.parse().ok()?;
    (seq > 0 && seq.to_string() == digits).then_some(seq)
}

/// Whether the object names the stored message and holds exactly its content: it is the REST answer, or the content
/// with the message's id in `_id` or `id`, and nothing else is in it.
pub fn is_repeat(stored: &Message, object: &str) -> bool {
    let Ok(Value::Object(object)) = serde_json::from_str(object) else { return false };
    let Ok(content) = serde_json::from_str::<Value>(&stored.body) else { return false };
    let answer = answer(stored, &content);
    let names = |key| object.get(key) == answer.get("id");
    let is_own_id = |key: &str| key == "_id" && (names("_id") || (names("id") && content.get("_id").is_none()));
    let is_known =
        |key: &str, value: &Value| answer.get(key) == Some(value) || content.get(key) == Some(value) || is_own_id(key);
    let is_there = |key: &str, value: &Value| object.get(key) == Some(value);
    let has_answer = || answer.iter().all(|(key, value)| is_there(key, value));
    let has_content = || {
        let fields = content.as_object();
        let mut fields = fields.into_iter().flatten();
        content.is_object() && fields.all(|(key, value)| is_there(key, value) || (is_id(key) && names(key)))
    };
    (names("_id") || names("id"))
        && object.iter().all(|(key, value)| is_known(key, value))
        && (has_answer() || has_content())
}

/// The same of a message that has another content by now: of the one that it was sent with only the digest is kept.
pub fn is_repeat_of(original: &Digest, object: &str) -> bool {
    let Ok(fields) = serde_json::from_str::<BTreeMap<&str, &RawValue>>(object) else { return false };
    let is_original = |content: &str| digest(&[content]) == *original;
    let without = |ids: &[&str]| {
        let content: BTreeMap<_, _> = fields.iter().filter(|(key, _)| !ids.contains(key)).collect();
        serde_json::to_string(&content).is_ok_and(|content| is_original(&content))
    };
    let answered = fields.get("message").is_some_and(|content| is_original(content.get()));
    answered || without(&["_id"]) || without(&["id"]) || without(&["_id", "id"])
}

/// The names under which a message's id stands, beside or in place of the content's own.
fn is_id(key: &str) -> bool {
    matches!(key, "_id" | "id")
}

/// What REST answers of the message beside the content's fields.
fn answer(stored: &Message, content: &Value) -> Map<String, Value> {
    let created_at = clock::rfc3339(stored.created_at_ms);
    let answer = json!({
        "id": format!("{}:{}", stored.match_id, stored.seq),
        "matchId": stored.match_id,
        "seq": stored.seq,
        "senderId": stored.sender_id,
        "message": content,
        "clientId": stored.client_id,
        "createdAt": created_at,
        "timestamp": created_at,
    });
    match answer {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests;

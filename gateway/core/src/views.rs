//! The JSON that clients see of messages, milestones, matches and calls, the same on Socket.IO and REST.

mod call;
mod match_view;
mod membership;
mod message;
mod milestone;

pub use call::{CallView, state_name};
pub use match_view::MatchView;
pub use membership::MembershipChangedView;
pub use message::{MessageFields, MessageId, MessageView};
pub use milestone::{MilestoneReachedView, MilestoneView, unlocked};

use proto::chat::{Message, Milestone};
use serde::Serialize;
use serde_json::value::RawValue;

/// Room for most views.
const USUAL_BYTES: usize = 384;

/// The `receive_message` object. Spread, the fields of an object body stand at the top level too, unless their names
/// are reserved.
pub fn message(message: &Message, fields: MessageFields) -> String {
    to_json(&MessageView::new(message, fields))
}

/// The `milestone_reached` object.
pub fn milestone_reached(match_id: &str, milestone: &Milestone) -> String {
    to_json(&MilestoneReachedView::new(match_id, milestone))
}

/// The `match_closed` object for who is no member any more.
pub fn removed(match_id: &str) -> String {
    to_json(&serde_json::json!({ "matchId": match_id, "reason": "removed" }))
}

/// A view as JSON.
pub fn to_json(view: &impl Serialize) -> String {
    let mut json = Vec::with_capacity(USUAL_BYTES);
    // Views hold nothing that cannot be serialized, and JSON is text.
    serde_json::to_writer(&mut json, view).ok().and_then(|()| String::from_utf8(json).ok()).unwrap_or_default()
}

/// JSON that a service passed on. It was checked when it came in; what is none after all shows as `null`.
pub fn raw(json: &str) -> &RawValue {
    serde_json::from_str(json).unwrap_or(RawValue::NULL)
}

#[cfg(test)]
mod tests;

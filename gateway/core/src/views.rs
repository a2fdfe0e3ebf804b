//! The JSON that clients see of messages, milestones, matches and calls, the same on Socket.IO and REST.

mod call;
mod change;
mod json;
mod match_view;
mod membership;
mod message;
mod milestone;
mod reactions;
mod receipts;
mod synced_match;

pub use call::{CallView, state_name};
pub use change::ChangeView;
pub use json::{raw, to_json};
pub use match_view::MatchView;
pub use membership::MembershipChangedView;
pub use message::{MessageFields, MessageId, MessageView};
pub use milestone::{MilestoneReachedView, MilestoneView, unlocked};
pub use reactions::ReactionsView;
pub use receipts::ReceiptsView;
pub use synced_match::SyncedMatchView;

use proto::chat::{Message, Milestone};

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

#[cfg(test)]
mod tests;

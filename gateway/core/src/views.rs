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
pub use membership::{MemberView, MembershipChangedView, role_name};
pub use message::{MessageFields, MessageId, MessageView};
pub use milestone::{MilestoneReachedView, MilestoneView, unlocked};
pub use reactions::ReactionsView;
pub use receipts::ReceiptsView;
pub use synced_match::SyncedMatchView;

use proto::chat::{Change, Message, Milestone};

/// The `receive_message` object. Spread, the fields of an object body stand at the top level too, unless their names
/// are reserved.
pub fn message(message: &Message, fields: MessageFields) -> String {
    to_json(&MessageView::new(message, fields))
}

/// The `milestone_reached` object.
pub fn milestone_reached(match_id: &str, milestone: &Milestone) -> String {
    to_json(&MilestoneReachedView::new(match_id, milestone))
}

/// Most bytes of the notes of a page.
const MAX_NOTES_BYTES: usize = 32 * 1024;

/// The entries of `notes`, as those of `changes`. Of more than a page takes the last ones are shown.
pub fn notes(match_id: &str, notes: &[Change]) -> Vec<String> {
    let views: Vec<String> = notes.iter().map(|note| to_json(&ChangeView::new(match_id, note))).collect();
    let mut bytes = 0;
    let fitting = views.iter().rev().take_while(|view| {
        bytes += view.len();
        bytes <= MAX_NOTES_BYTES
    });
    let count = fitting.count();
    views.into_iter().skip(notes.len() - count).collect()
}

/// The `match_closed` object for who is no member any more.
pub fn removed(match_id: &str) -> String {
    to_json(&serde_json::json!({ "matchId": match_id, "reason": "removed" }))
}

#[cfg(test)]
mod tests;

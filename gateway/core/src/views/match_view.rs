//! A match as REST shows it to its members.

use proto::{chat::Match, rfc3339};
use serde::Serialize;

use super::milestone::{MilestoneView, unlocked};

/// `{matchId, members, lastSeq, createdAt, closed, closedAt?, milestones, unlocked}`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MatchView<'a> {
    match_id: &'a str,
    members: &'a [String],
    last_seq: i64,
    created_at: String,
    closed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_at: Option<String>,
    milestones: Vec<MilestoneView<'a>>,
    unlocked: Vec<&'a str>,
}

impl<'a> MatchView<'a> {
    /// The view of a match.
    pub fn new(of: &'a Match) -> Self {
        Self {
            match_id: &of.match_id,
            members: &of.members,
            last_seq: of.last_seq,
            created_at: rfc3339::write(of.created_at_ms),
            closed: of.closed_at_ms.is_some(),
            closed_at: of.closed_at_ms.map(rfc3339::write),
            milestones: MilestoneView::list(&of.milestones),
            unlocked: unlocked(&of.milestones),
        }
    }
}

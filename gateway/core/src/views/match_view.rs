//! A match as REST shows it to its members.

use proto::{chat::Match, rfc3339};
use serde::Serialize;

use super::{
    membership::MemberView,
    milestone::{MilestoneView, unlocked},
};

/// `{matchId, members, lastSeq, createdAt, closed, closedAt?, milestones, unlocked}`. Of a group the members are
/// `{userId, role}`, and `kind` and `title` are there, too.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MatchView<'a> {
    match_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    members: MembersOf<'a>,
    last_seq: i64,
    created_at: String,
    closed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_at: Option<String>,
    milestones: Vec<MilestoneView<'a>>,
    unlocked: Vec<&'a str>,
}

/// The ids of the members, and of a group their roles, too.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum MembersOf<'a> {
    Users(&'a [String]),
    WithRoles(Vec<MemberView<'a>>),
}

impl<'a> MembersOf<'a> {
    pub(super) fn new(of: &'a Match) -> Self {
        match &of.group {
            Some(group) => Self::WithRoles(MemberView::list(&group.members)),
            None => Self::Users(&of.members),
        }
    }
}

impl<'a> MatchView<'a> {
    /// The view of a match.
    pub fn new(of: &'a Match) -> Self {
        Self {
            match_id: &of.match_id,
            kind: of.group.as_ref().map(|_| "group"),
            title: of.group.as_ref().and_then(|group| group.title.as_deref()),
            members: MembersOf::new(of),
            last_seq: of.last_seq,
            created_at: rfc3339::write(of.created_at_ms),
            closed: of.closed_at_ms.is_some(),
            closed_at: of.closed_at_ms.map(rfc3339::write),
            milestones: MilestoneView::list(&of.milestones),
            unlocked: unlocked(&of.milestones),
        }
    }
}

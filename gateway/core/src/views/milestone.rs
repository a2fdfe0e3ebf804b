//! Milestones that a match has reached, and what they unlock.

use std::collections::BTreeSet;

use proto::{chat::Milestone, rfc3339};
use serde::Serialize;

/// One entry of `milestones`: `{milestoneId, milestone, unlocks, messageCount, reachedAt}`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MilestoneView<'a> {
    milestone_id: &'a str,
    milestone: i64,
    unlocks: &'a [String],
    message_count: i64,
    reached_at: String,
}

impl<'a> MilestoneView<'a> {
    /// The view of a reached milestone.
    pub fn new(milestone: &'a Milestone) -> Self {
        Self {
            milestone_id: &milestone.milestone_id,
            milestone: milestone.threshold,
            unlocks: &milestone.unlocks,
            message_count: milestone.threshold,
            reached_at: rfc3339::write(milestone.reached_at_ms),
        }
    }

    /// The list `milestones`, in the order in which they were reached.
    pub fn list(milestones: &'a [Milestone]) -> Vec<Self> {
        milestones.iter().map(Self::new).collect()
    }
}

/// `milestone_reached`: an entry of `milestones` with its match, and the flag that the seed's clients look at.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MilestoneReachedView<'a> {
    match_id: &'a str,
    milestone_reached: bool,
    #[serde(flatten)]
    milestone: MilestoneView<'a>,
}

impl<'a> MilestoneReachedView<'a> {
    /// The announcement of a milestone of a match.
    pub fn new(match_id: &'a str, milestone: &'a Milestone) -> Self {
        Self { match_id, milestone_reached: true, milestone: MilestoneView::new(milestone) }
    }
}

/// What the milestones unlock together: sorted, each once.
pub fn unlocked(milestones: &[Milestone]) -> Vec<&str> {
    let features: BTreeSet<&str> = milestones.iter().flat_map(|m| m.unlocks.iter().map(String::as_str)).collect();
    features.into_iter().collect()
}

//! What is stored of a match at the end.

use crate::tag::Tag;

/// One match as the database has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MatchFacts {
    /// The match's own count of its messages.
    pub last_seq: u32,
    /// Every message, ascending.
    pub rows: Vec<Row>,
    /// Every milestone, in the order in which they were reached.
    pub milestones: Vec<MilestoneRow>,
    /// Whether the match is closed.
    pub is_closed: bool,
    /// Guests who are no members.
    pub removed: Vec<u8>,
    /// How many messages are younger than the match's end.
    pub stored_late: u32,
}

/// A message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Its place.
    pub seq: u32,
    /// What it is; none if body, clientId and sender do not belong together.
    pub tag: Option<Tag>,
}

/// A milestone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MilestoneRow {
    /// The message that reached it.
    pub seq: u32,
    /// Whether it was announced.
    pub announced: bool,
}

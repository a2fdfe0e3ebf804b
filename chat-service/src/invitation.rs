//! Somebody whom a user wants to add to a group. Pure.

use proto::UserId;

/// What is known of the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Who adds.
    pub by: UserId,
    /// Who is to be added.
    pub user: UserId,
    /// Whether the two share an open match of their own.
    pub is_known: bool,
    /// Whether the user and a member of the group, or somebody who is added along, have blocked one another.
    pub is_blocked: bool,
    /// How many the first one has added within a day.
    pub made: i64,
}

//! How far a user says to have come in a match.

use proto::{MatchId, UserId};

/// How far a user says to have come in a match. Of each list the highest message that exists counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) match_id: MatchId,
    pub(crate) user: UserId,
    /// Messages up to which the user has read.
    pub(crate) read: Vec<i64>,
    /// Messages up to which a device has them.
    pub(crate) delivered: Vec<i64>,
}

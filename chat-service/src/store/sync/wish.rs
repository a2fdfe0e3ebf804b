//! What a sync is asked for, and which matches it has found.

use proto::{MatchId, UserId};

use crate::sync_token::Place;

/// What somebody asks for.
#[derive(Debug)]
pub(crate) struct SyncWish {
    pub(crate) user: UserId,
    pub(crate) token: Option<String>,
    /// Up to which seq and rev the caller has matches.
    pub(crate) known: Known,
    /// Most messages of a match.
    pub(crate) messages: usize,
    /// Most matches.
    pub(crate) limit: usize,
    /// Counts as changed.
    pub(crate) with: Option<MatchId>,
}

/// Seq and rev by match.
pub(crate) type Known = std::collections::HashMap<String, (i64, i64)>;

/// A match to be told of, in the order of activity.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) place: Place,
    /// The user is no member any more.
    pub(super) is_gone: bool,
}

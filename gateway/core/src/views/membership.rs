//! Changes of a match's members.

use proto::chat::{Change, Membership};
use serde::Serialize;

/// `membership_changed`. `by` is the member who has done it; `null`: the app server.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MembershipChangedView<'a> {
    match_id: &'a str,
    rev: i64,
    after_seq: i64,
    added: &'a [String],
    removed: &'a [String],
    by: Option<&'a str>,
}

impl<'a> MembershipChangedView<'a> {
    /// The announcement of a change of the members of a match.
    pub fn new(match_id: &'a str, change: &Change, membership: &'a Membership) -> Self {
        let Membership { added, removed, actor } = membership;
        Self { match_id, rev: change.rev, after_seq: change.after_seq, added, removed, by: actor.as_deref() }
    }
}

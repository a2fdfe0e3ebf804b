//! The log of what changed in a match besides its messages, as it is read.

use std::rc::Rc;

use proto::{
    MatchId, UserId,
    chat::{Change, ListChangesResponse, change::Kind},
};

use super::Store;
use crate::network::Away;

impl Store {
    /// At most `limit` changes after a rev, as chat-service lists them to a member; `None` for a stranger.
    pub(crate) async fn changes(
        self: Rc<Self>,
        (id, user): (MatchId, UserId),
        after: i64,
        limit: usize,
    ) -> Result<Option<ListChangesResponse>, Away> {
        self.trip(|store| {
            let rows = store.rows.borrow();
            let stored = rows.get(&id).filter(|stored| stored.audience.has(&user))?;
            let mut changes: Vec<Change> = stored.changes.iter().filter(|change| change.rev > after).cloned().collect();
            let has_more = changes.len() > limit;
            changes.truncate(limit);
            let last = changes.last().filter(|_| has_more);
            let through_rev = last.map_or(stored.head.rev, |last| last.rev);
            Some(ListChangesResponse { through_rev, changes, has_more })
        })
        .await
    }

    /// Whether a message was stored while the user was a member.
    pub(crate) fn concerns(&self, id: &MatchId, user: &UserId, seq: i64) -> bool {
        self.memberships(id, user, seq).pop().unwrap_or(false)
    }

    /// Whether the user has been a member at any time since a message was stored: a member may read the whole history.
    pub(crate) fn may_have_read(&self, id: &MatchId, user: &UserId, seq: i64) -> bool {
        self.memberships(id, user, seq).contains(&true)
    }

    /// Whether the user is a member now, and was before each change that came behind a message, the last one first.
    fn memberships(&self, id: &MatchId, user: &UserId, seq: i64) -> Vec<bool> {
        let rows = self.rows.borrow();
        let Some(stored) = rows.get(id) else { return Vec::new() };
        let later = stored.changes.iter().filter(|change| change.after_seq >= seq);
        let named = |users: &[String]| users.iter().any(|named| named == user.as_str());
        let mut is_member = stored.audience.has(user);
        let before = later.rev().map(|change| {
            is_member = match &change.kind {
                Some(Kind::Membership(membership)) if named(&membership.added) => false,
                Some(Kind::Membership(membership)) if named(&membership.removed) => true,
                _ => is_member,
            };
            is_member
        });
        std::iter::once(stored.audience.has(user)).chain(before).collect()
    }

    /// The version of a match's members before their last change.
    pub(super) fn members_rev_before(&self, id: &MatchId) -> i64 {
        let rows = self.rows.borrow();
        let changes = rows.get(id).map_or(&[][..], |stored| &stored.changes[..]);
        let is_of_members = |change: &&Change| matches!(change.kind, Some(Kind::Membership(_)));
        changes.iter().rev().filter(is_of_members).nth(1).map_or(0, |change| change.rev)
    }

    /// Behind which message a milestone was recorded, by the number of messages that reaches it.
    pub(crate) fn recorded_after(&self, id: &MatchId, threshold: i64) -> Option<i64> {
        let rows = self.rows.borrow();
        let mut milestones = rows.get(id)?.milestones.iter().map(|recorded| &recorded.milestone);
        milestones.find(|milestone| milestone.threshold == threshold).map(|milestone| milestone.after_seq)
    }
}

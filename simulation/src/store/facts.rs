//! What the checks of the simulation read, at once and without a trip.

use gateway_core::views::{self, ReactionsView};
use promises::{MatchFacts, MilestoneRow, Row};
use proto::{
    MatchId, UserId,
    chat::{Message, change::Kind},
};

use super::Store;
use crate::{cast::Cast, promises::seq, schedule::CLIENTS};

impl Store {
    /// What it holds of a match.
    pub(crate) fn facts(&self, cast: &Cast, chat: usize) -> MatchFacts {
        let (of, rows) = (&cast.chats[chat], self.rows.borrow());
        let stored = &rows[&of.id];
        let row = |message: &Message| Row { seq: seq(message.seq), tag: cast.tag_of_message(message) };
        let is_removed = |client: &u8| {
            let owner = Cast::owner(*client);
            of.guest == Some(owner) && !stored.audience.has(&cast.users[owner])
        };
        let milestones = stored.milestones.iter();
        MatchFacts {
            last_seq: seq(stored.head.last_seq),
            rows: stored.messages.iter().map(|stored| row(&stored.message)).collect(),
            milestones: milestones
                .map(|of| MilestoneRow { seq: seq(of.milestone.threshold), announced: of.is_announced })
                .collect(),
            is_closed: stored.head.closed,
            removed: (0..CLIENTS).filter(is_removed).collect(),
            stored_late: 0,
        }
    }

    /// How far a match has come.
    pub(crate) fn last_seq(&self, id: &MatchId) -> i64 {
        self.rows.borrow()[id].head.last_seq
    }

    /// The reactions to a message, as clients see them.
    pub(crate) fn reactions(&self, id: &MatchId, seq: i64) -> String {
        let rows = self.rows.borrow();
        rows[id].row(seq).map(|row| views::to_json(&ReactionsView::new(&row.message.reactions))).unwrap_or_default()
    }

    /// Behind which message a milestone was recorded, by the number of messages that reaches it.
    pub(crate) fn recorded_after(&self, id: &MatchId, threshold: i64) -> Option<i64> {
        let rows = self.rows.borrow();
        let mut milestones = rows[id].milestones.iter().map(|recorded| &recorded.milestone);
        milestones.find(|milestone| milestone.threshold == threshold).map(|milestone| milestone.after_seq)
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
        let stored = &rows[id];
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
}

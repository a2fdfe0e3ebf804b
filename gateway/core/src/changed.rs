//! What changed in a match besides its new messages, as the sockets of its members are told of it.

use std::sync::Arc;

use proto::{
    MatchId, UserId,
    chat::{Change, Membership, Milestone, change::Kind},
    client::event,
};

use crate::{
    mistake::{self, Mistake},
    others::names,
    room::Follows,
    track::Counted,
    views,
};

/// A change of a match.
#[derive(Debug)]
pub struct Changed {
    /// Its chat.
    pub chat: MatchId,
    /// What chat-service says of it.
    pub change: Change,
}

impl Changed {
    /// A milestone that was recorded.
    pub fn milestone(chat: MatchId, milestone: Milestone) -> Self {
        let (rev, after_seq, created_at_ms) = (milestone.rev, milestone.after_seq, milestone.reached_at_ms);
        Self { chat, change: Change { rev, after_seq, created_at_ms, kind: Some(Kind::Milestone(milestone)) } }
    }

    /// The event that tells it to a socket that has joined, and its argument. A kind that is told in another way, or
    /// that this gateway does not know, only takes its place in the order.
    pub fn event(&self) -> Option<(&'static str, String)> {
        let chat = self.chat.as_str();
        match self.change.kind.as_ref()? {
            Kind::Milestone(milestone) => Some((event::MILESTONE_REACHED, views::milestone_reached(chat, milestone))),
            Kind::Membership(membership) => {
                let changed = views::MembershipChangedView::new(chat, &self.change, membership);
                Some((event::MEMBERSHIP_CHANGED, views::to_json(&changed)))
            }
            // Its deletion follows.
            Kind::Edited(edited) if edited.body.is_empty() => None,
            Kind::Edited(_) | Kind::Deleted(_) | Kind::Reacted(_) => {
                Some((event::MESSAGE_CHANGED, views::to_json(&views::ChangeView::event(chat, &self.change))))
            }
            Kind::Closing(_) => None,
        }
    }

    /// The same to a socket of this user that has not joined: of messages it hears nothing, and of the members only
    /// what makes the user one, or ends that.
    pub fn notice(&self, user: &UserId) -> Option<(&'static str, String)> {
        match (&self.change.kind, self.makes_member(user)) {
            (Some(Kind::Membership(_)), None) | (Some(Kind::Edited(_) | Kind::Deleted(_) | Kind::Reacted(_)), _) => {
                None
            }
            (_, Some(false)) => Some((event::MATCH_CLOSED, views::removed(self.chat.as_str()))),
            _ => self.event(),
        }
    }

    /// About how much the event takes.
    pub(crate) fn bytes(&self) -> usize {
        self.event().map_or(0, |(_, json)| json.len())
    }

    /// Who is no member any more by it.
    pub fn removed(&self) -> &[String] {
        self.membership().map_or(&[], |membership| &membership.removed)
    }

    /// How it changes the members, if it does.
    pub(crate) fn membership(&self) -> Option<&Membership> {
        match &self.change.kind {
            Some(Kind::Membership(membership)) => Some(membership),
            _ => None,
        }
    }

    /// Whether it makes the user a member, or ends that; `None` if neither.
    pub(crate) fn makes_member(&self, user: &UserId) -> Option<bool> {
        let Membership { added, removed, .. } = self.membership()?;
        let is_added = names(added, user).then_some(true);
        is_added.or_else(|| names(removed, user).then_some(false))
    }

    /// Whether the match is closed by it.
    pub fn closes(&self) -> bool {
        matches!(self.change.kind, Some(Kind::Closing(_)))
    }
}

/// Whether the last of these changes that name the user makes it a member.
pub(crate) fn admits(changes: &[Arc<Changed>], user: &UserId) -> bool {
    changes.iter().rev().find_map(|changed| changed.makes_member(user)) == Some(true)
}

/// Where among these changes, one after the other, the user ceases to be a member, and is not made one again behind it.
pub(crate) fn removal(changes: &[Arc<Changed>], user: &UserId) -> Option<usize> {
    let index = changes.iter().rposition(|changed| changed.makes_member(user).is_some())?;
    let is_removed = changes[index].makes_member(user) == Some(false);
    (is_removed && !mistake::is_planted(Mistake::KeepRemoved)).then_some(index)
}

impl Counted for Arc<Changed> {
    fn number(&self) -> i64 {
        self.change.rev
    }
}

impl Follows for Arc<Changed> {
    fn after_seq(&self) -> i64 {
        self.change.after_seq
    }
}

#[cfg(test)]
mod tests {
    use proto::chat::Closing;

    use super::*;

    fn changed(kind: Option<Kind>) -> Changed {
        let chat = MatchId::new("m").unwrap();
        Changed { chat, change: Change { rev: 3, after_seq: 9, created_at_ms: 1, kind } }
    }

    #[test]
    fn a_milestone_is_told_and_stands_where_it_was_recorded() {
        let milestone = Milestone { rev: 3, after_seq: 9, threshold: 8, reached_at_ms: 1, ..Milestone::default() };
        let changed = Changed::milestone(MatchId::new("m").unwrap(), milestone);
        assert_eq!(changed.event().map(|(name, _)| name), Some("milestone_reached"));
        let changed = Arc::new(changed);
        assert_eq!((changed.number(), changed.after_seq()), (3, 9));
    }

    #[test]
    fn who_is_removed_is_told_so_who_is_added_hears_of_it_and_others_hear_of_it_where_they_have_joined() {
        let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| UserId::new(name).unwrap());
        let membership = |added: &UserId, removed: &UserId| {
            let (added, removed) = (vec![added.to_string()], vec![removed.to_string()]);
            Arc::new(changed(Some(Kind::Membership(Membership {
                added,
                removed,
                actor: Some("alice".into()),
                ..Membership::default()
            }))))
        };
        let swapped = membership(&carol, &bob);
        let json = r#"{"matchId":"m","rev":3,"afterSeq":9,"added":["carol"],"removed":["bob"],"by":"alice"}"#;
        assert_eq!(swapped.event(), Some(("membership_changed", json.to_owned())));
        assert_eq!(swapped.notice(&carol), swapped.event());
        assert_eq!(swapped.notice(&alice), None);
        let removed = r#"{"matchId":"m","reason":"removed"}"#.to_owned();
        assert_eq!(swapped.notice(&bob), Some(("match_closed", removed)));
        let back = membership(&bob, &carol);
        assert_eq!(removal(&[Arc::clone(&back), Arc::clone(&swapped)], &bob), Some(1));
        assert_eq!(removal(&[swapped, back], &bob), None);
    }

    #[test]
    fn what_is_told_in_another_way_and_what_is_not_known_have_no_event() {
        assert!(changed(Some(Kind::Closing(Closing {}))).closes());
        for kind in [Some(Kind::Closing(Closing {})), None] {
            assert_eq!(changed(kind).event(), None);
        }
    }
}

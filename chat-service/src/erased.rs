//! What becomes of a part of a match's messages when a user is erased. Pure.
//!
//! The user's own messages become deleted ones, and the user's reactions go. Each is a change of the match, as if the
//! user had done it: who keeps a copy learns by the log that it is out of date.

use proto::{
    UserId,
    chat::{Change, Deleted, Reacted, Reaction, change::Kind},
};

use crate::room::Head;

/// A message that may have something of the user: an own one, or one with reactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Suspect {
    pub(crate) seq: i64,
    /// Whether the user has sent it.
    pub(crate) is_own: bool,
    pub(crate) is_deleted: bool,
    pub(crate) reactions: Vec<Reaction>,
}

/// What is to be written.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Erased {
    /// The user's own messages, also those that were deleted before: they may have left traces.
    pub(crate) own: Vec<i64>,
    /// Messages of others with the reactions that stay.
    pub(crate) reacted: Vec<(i64, Vec<Reaction>)>,
    /// In `rev` order.
    pub(crate) changes: Vec<Change>,
}

impl Erased {
    /// What the erasure of a user comes to in a match that stands at `head`.
    pub(crate) fn of(user: &UserId, head: &Head, suspects: Vec<Suspect>) -> Self {
        let mut erased = Self::default();
        for suspect in suspects {
            let (seq, actor) = (suspect.seq, user.to_string());
            let is_of_user = |of: &Reaction| of.user_id == user.as_str();
            if suspect.is_own {
                erased.own.push(seq);
                if !suspect.is_deleted {
                    erased.note(head, Kind::Deleted(Deleted { seq, actor }));
                }
            } else if suspect.reactions.iter().any(is_of_user) {
                let reactions: Vec<_> = suspect.reactions.into_iter().filter(|of| !is_of_user(of)).collect();
                erased.note(head, Kind::Reacted(Reacted { seq, actor, reactions: reactions.clone() }));
                erased.reacted.push((seq, reactions));
            }
        }
        erased
    }

    /// How many messages were not deleted before.
    pub(crate) fn messages(&self) -> usize {
        self.changes.len() - self.reacted.len()
    }

    fn note(&mut self, head: &Head, kind: Kind) {
        let number = i64::try_from(self.changes.len()).unwrap_or(i64::MAX);
        let rev = head.rev.saturating_add(number).saturating_add(1);
        self.changes.push(Change { rev, after_seq: head.last_seq, created_at_ms: head.now_ms, kind: Some(kind) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suspect(seq: i64, is_own: bool, is_deleted: bool, users: &[&str]) -> Suspect {
        let reaction = |user: &&str| Reaction { user_id: (*user).to_owned(), emoji: "👍".into() };
        Suspect { seq, is_own, is_deleted, reactions: users.iter().map(reaction).collect() }
    }

    #[test]
    fn own_messages_are_deleted_own_reactions_go_and_what_is_others_stays() {
        let head = Head { last_seq: 9, rev: 4, closed: true, now_ms: 7, members_rev: 0 };
        let suspects = vec![
            suspect(1, true, false, &["bob"]),
            suspect(2, false, false, &["alice", "bob"]),
            suspect(3, false, false, &["bob"]),
            suspect(4, true, true, &[]),
            suspect(5, true, false, &[]),
        ];
        let erased = Erased::of(&UserId::new("alice").unwrap(), &head, suspects);
        assert_eq!((&erased.own[..], erased.messages()), (&[1, 4, 5][..], 2));
        assert_eq!(erased.reacted, [(2, suspect(2, false, false, &["bob"]).reactions)]);
        let told = erased.changes.iter().map(|change| match change.kind.as_ref().unwrap() {
            Kind::Deleted(Deleted { seq, actor }) => (change.rev, "deleted", *seq, actor.as_str()),
            Kind::Reacted(Reacted { seq, actor, .. }) => (change.rev, "reacted", *seq, actor.as_str()),
            other => panic!("{other:?}"),
        });
        let told: Vec<_> = told.collect();
        assert_eq!(told, [(5, "deleted", 1, "alice"), (6, "reacted", 2, "alice"), (7, "deleted", 5, "alice")]);
        assert!(erased.changes.iter().all(|change| (change.after_seq, change.created_at_ms) == (9, 7)));
    }
}

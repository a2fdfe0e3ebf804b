//! Changes who belongs to a match.

use std::collections::BTreeSet;

use proto::{
    MatchId, UserId,
    chat::{Change, Membership, change::Kind},
};

use super::{Command, Wanted};
use crate::{
    outcome::{Changed, Outcome, Refusal},
    owners::keep_owner,
    room::Room,
};

/// The most members of a match.
pub const MAX_MEMBERS: usize = 1_000;

/// Lets users in and others out. What comes behind it in the match is for those who are in then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeMembers {
    /// The match.
    pub match_id: MatchId,
    /// Users who are to be members.
    pub add: BTreeSet<UserId>,
    /// Users who are not to be members; none of them is in `add`.
    pub remove: BTreeSet<UserId>,
    /// The member who asks for it; `None`: the app server.
    pub actor: Option<UserId>,
    /// The rev of the last change of the members that the caller knows of; `None`: whatever they are.
    pub expected_rev: Option<i64>,
}

impl Command for ChangeMembers {
    fn match_id(&self) -> &MatchId {
        &self.match_id
    }

    fn look_up<'a>(&'a self, wanted: &mut Wanted<'a>) {
        wanted.memberships.insert(self.match_id.as_str());
    }

    /// A repeat is told from the members *before* anything refuses it: its first try has changed them.
    fn decide(&self, room: &mut Room) -> Outcome {
        let (added, removed) = self.difference(room);
        let members = room.audience().members().len() + added.len() - removed.len();
        Outcome::Changed(if added.is_empty() && removed.is_empty() {
            Ok(Changed { change: standing(room), is_new: false })
        } else if room.head().closed {
            Err(Refusal::Closed)
        } else if self.expected_rev.is_some_and(|rev| rev != room.head().members_rev) {
            Err(Refusal::MembersChanged)
        } else if members == 0 {
            Err(Refusal::NobodyLeft)
        } else if members > MAX_MEMBERS {
            Err(Refusal::TooManyMembers)
        } else {
            let actor = self.actor.as_ref().map(ToString::to_string);
            let in_group = room.audience().is_group();
            let mut membership = Membership { added, removed, actor, in_group, ..Membership::default() };
            keep_owner(room.audience(), &mut membership, (room.head().rev + 1, room.head().last_seq));
            let change = room.add_change(room.head().now_ms, |_, _| Kind::Membership(membership));
            Ok(Changed { change, is_new: true })
        })
    }
}

impl ChangeMembers {
    /// The users of `add` who are no members yet, and those of `remove` who are members.
    fn difference(&self, room: &Room) -> (Vec<String>, Vec<String>) {
        let is_member = |user: &&UserId| room.audience().has(user);
        let added = self.add.iter().filter(|user| !is_member(user)).map(ToString::to_string);
        let removed = self.remove.iter().filter(is_member).map(ToString::to_string);
        (added.collect(), removed.collect())
    }
}

/// The change that has led to the members as they are. Its rev is 0 if they never changed.
pub(super) fn standing(room: &mut Room) -> Change {
    let (is_membership, rev) = (|kind: &Kind| matches!(kind, Kind::Membership(_)), room.head().members_rev);
    let Some(change) = room.last_change(is_membership).filter(|change| change.rev == rev).cloned() else {
        return Change { rev, ..Change::default() };
    };
    room.repeat_change(&change);
    change
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audience::Audience,
        news::{Entry, Logged},
        room::Head,
    };

    fn id() -> MatchId {
        MatchId::new("demo").unwrap()
    }

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    fn users(names: &[&str]) -> Vec<UserId> {
        names.iter().map(|name| user(name)).collect()
    }

    fn command(add: &[&str], remove: &[&str], expected_rev: Option<i64>) -> ChangeMembers {
        let (add, remove) = (users(add).into_iter().collect(), users(remove).into_iter().collect());
        ChangeMembers { match_id: id(), add, remove, actor: Some(user("alice")), expected_rev }
    }

    fn room(members: &[&str], members_rev: i64, closed: bool) -> Room {
        let head = Head { last_seq: 7, rev: 4, closed, now_ms: 1_000, members_rev };
        Room::new(id(), head, Audience::new(users(members), members_rev))
    }

    fn change(rev: i64, added: &[&str], removed: &[&str]) -> Change {
        let names = |of: &[&str]| of.iter().map(|name| (*name).to_owned()).collect();
        let actor = Some("alice".into());
        let membership = Membership { added: names(added), removed: names(removed), actor, ..Membership::default() };
        Change { rev, after_seq: 7, created_at_ms: 1_000, kind: Some(Kind::Membership(membership)) }
    }

    #[test]
    fn only_what_is_not_so_already_is_changed_and_what_follows_is_for_the_new_members() {
        let mut room = room(&["alice", "bob"], 0, false);
        let outcome = command(&["bob", "carol"], &["alice", "mallory"], Some(0)).decide(&mut room);
        let change = change(5, &["carol"], &["alice"]);
        assert_eq!(outcome, Outcome::Changed(Ok(Changed { change, is_new: true })));
        assert_eq!(room.audience(), &Audience::new(users(&["bob", "carol"]), 5));
        assert_eq!((room.head().rev, room.head().members_rev), (5, 5));
    }

    #[test]
    fn a_repeat_changes_nothing_whatever_it_expects() {
        for closed in [false, true] {
            let mut room = room(&["bob", "carol"], 3, closed);
            room.remember_change(change(3, &["carol"], &["alice"]));
            let again = command(&["carol"], &["alice"], Some(0)).decide(&mut room);
            let change = change(3, &["carol"], &["alice"]);
            assert_eq!(again, Outcome::Changed(Ok(Changed { change: change.clone(), is_new: false })));
            let (additions, moved) = room.into_additions();
            assert_eq!((additions.changes, moved), (vec![], None));
            assert_eq!(additions.repeated, [Entry::Change(Logged { match_id: id(), change })]);
        }
    }

    #[test]
    fn members_who_never_changed_have_no_change() {
        let none = Change::default();
        let same = command(&["bob"], &[], None).decide(&mut room(&["alice", "bob"], 0, false));
        assert_eq!(same, Outcome::Changed(Ok(Changed { change: none, is_new: false })));
    }

    #[test]
    fn a_change_that_cannot_be_is_refused() {
        let full: Vec<String> = (0..MAX_MEMBERS).map(|number| number.to_string()).collect();
        let full: Vec<&str> = full.iter().map(String::as_str).collect();
        for (command, mut room, refusal) in [
            (command(&["carol"], &[], None), room(&["alice", "bob"], 0, true), Refusal::Closed),
            (command(&["carol"], &[], Some(2)), room(&["alice", "bob"], 3, false), Refusal::MembersChanged),
            (command(&[], &["alice"], None), room(&["alice"], 0, false), Refusal::NobodyLeft),
            (command(&["carol"], &[], None), room(&full, 0, false), Refusal::TooManyMembers),
        ] {
            assert_eq!(command.decide(&mut room), Outcome::Changed(Err(refusal)));
            assert_eq!(room.into_additions().1, None);
        }
    }
}

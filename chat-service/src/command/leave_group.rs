//! Ends the membership of a user in a group, by that user.

use proto::{
    MatchId, UserId,
    chat::{Change, Closing, Membership, change::Kind},
};

use super::{Command, Wanted};
use crate::{
    may::Action,
    outcome::{Changed, Outcome, Refusal},
    owners::keep_owner,
    room::Room,
};

/// The last owner is followed by another one; the last member leaves the group closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaveGroup {
    /// The match.
    pub match_id: MatchId,
    /// The member.
    pub user: UserId,
}

impl Command for LeaveGroup {
    fn match_id(&self) -> &MatchId {
        &self.match_id
    }

    fn look_up<'a>(&'a self, wanted: &mut Wanted<'a>) {
        wanted.memberships.insert(self.match_id.as_str());
    }

    fn decide(&self, room: &mut Room) -> Outcome {
        Outcome::Changed(self.leave(room))
    }
}

impl LeaveGroup {
    fn leave(&self, room: &mut Room) -> Result<Changed, Refusal> {
        if let Some(change) = self.own_leaving(room) {
            room.repeat_change(&change);
            return Ok(Changed { change, is_new: false });
        }
        room.may(&self.user, Action::Leave)?;
        let user = self.user.to_string();
        let mut membership =
            Membership { removed: vec![user.clone()], actor: Some(user), in_group: true, ..Membership::default() };
        keep_owner(room.audience(), &mut membership, (room.head().rev + 1, room.head().last_seq));
        let change = room.add_change(room.head().now_ms, |_, _| Kind::Membership(membership));
        if room.audience().members().is_empty() && !room.head().closed {
            room.add_change(room.head().now_ms, |_, _| Kind::Closing(Closing {}));
        }
        Ok(Changed { change, is_new: true })
    }

    /// The change by which the user has left, if nobody has changed the members since: a try of before has made it.
    fn own_leaving(&self, room: &Room) -> Option<Change> {
        let user = self.user.as_str();
        let has_left = |kind: &Kind| match kind {
            Kind::Membership(of) => of.actor.as_deref() == Some(user) && of.removed.iter().any(|gone| gone == user),
            _ => false,
        };
        let last = room.last_change(|kind| matches!(kind, Kind::Membership(_)))?;
        last.kind.as_ref().is_some_and(has_left).then(|| last.clone())
    }
}

#[cfg(test)]
mod tests {
    use proto::chat::{Code, Member, Role};

    use super::*;
    use crate::{audience::Audience, room::Head, tenure::Tenure};

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    fn room(members: &[(&str, Role)]) -> Room {
        let members = members.iter().enumerate();
        let members = members.map(|(n, (name, role))| (user(name), Tenure::founding(*role, n))).collect();
        let head = Head { last_seq: 7, rev: 2, closed: false, now_ms: 1_000, members_rev: 0 };
        Room::new(MatchId::new("g").unwrap(), head, Audience::group(members, 0))
    }

    fn leave(room: &mut Room, name: &str) -> Result<Changed, Refusal> {
        let command = LeaveGroup { match_id: MatchId::new("g").unwrap(), user: user(name) };
        command.decide(room).into_change()
    }

    #[test]
    fn the_last_owner_is_followed_by_another_one_and_a_repeat_changes_nothing() {
        let mut room = room(&[("owen", Role::Owner), ("amy", Role::Member)]);
        let left = leave(&mut room, "owen").unwrap();
        let Some(Kind::Membership(membership)) = &left.change.kind else { panic!("{left:?}") };
        assert_eq!(membership.roles, [Member { user_id: "amy".into(), role: Role::Owner.into() }]);
        assert_eq!((left.change.rev, left.change.after_seq, left.is_new), (3, 7, true));
        let again = leave(&mut room, "owen").unwrap();
        assert_eq!((again.change, again.is_new), (left.change, false));
        assert_eq!(leave(&mut room, "mallory"), Err(Code::MatchNotFound.into()));
    }

    #[test]
    fn the_last_member_leaves_the_group_closed() {
        let mut room = room(&[("owen", Role::Owner)]);
        assert!(leave(&mut room, "owen").unwrap().is_new);
        assert!(room.head().closed && room.audience().members().is_empty());
        let (additions, _) = room.into_additions();
        assert_eq!(additions.changes.iter().map(|logged| logged.change.rev).collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn nobody_leaves_a_pair() {
        let head = Head { last_seq: 7, rev: 2, closed: false, now_ms: 1_000, members_rev: 0 };
        let pair = Audience::new(vec![user("alice"), user("bob")], 0);
        let mut room = Room::new(MatchId::new("g").unwrap(), head, pair);
        assert_eq!(leave(&mut room, "alice"), Err(Code::Forbidden.into()));
        assert_eq!(leave(&mut room, "mallory"), Err(Code::MatchNotFound.into()));
    }
}

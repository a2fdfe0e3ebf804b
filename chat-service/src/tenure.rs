//! What a member is in a group: with which role, since when, and from where on it sees the match. Pure.

use proto::{
    UserId,
    chat::{Change, Membership, Role, change::Kind},
};

/// Places that one change of the members takes: it adds fewer.
const PLACES_A_CHANGE: i64 = 1_000;

/// The tenure of a member of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tenure {
    /// What the member may do.
    pub role: Role,
    /// The lower, the longer a member.
    pub place: i64,
    /// The member sees the messages behind this one.
    pub from_seq: i64,
    /// The member sees the changes from this one on.
    pub from_rev: i64,
}

impl Tenure {
    /// That of a member who is there from the beginning, as the n-th.
    pub fn founding(role: Role, n: usize) -> Self {
        Self { role, place: i64::try_from(n).unwrap_or(i64::MAX), from_seq: 0, from_rev: 0 }
    }

    /// Whether the member sees a message.
    pub fn sees_message(&self, seq: i64) -> bool {
        seq > self.from_seq
    }

    /// Whether the member sees what a change is.
    pub fn sees_change(&self, change: &Change) -> bool {
        let of_message = match &change.kind {
            Some(Kind::Edited(edited)) => Some(edited.seq),
            Some(Kind::Deleted(deleted)) => Some(deleted.seq),
            Some(Kind::Reacted(reacted)) => Some(reacted.seq),
            _ => None,
        };
        change.rev >= self.from_rev && of_message.is_none_or(|seq| self.sees_message(seq))
    }
}

/// A member of before, and what a role makes of it; or one who has come by this change, as the n-th of it.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// The change of the members.
    pub membership: &'a Membership,
    /// Its rev, and the match's head then.
    pub at: (i64, i64),
}

impl Arrival<'_> {
    /// The tenures of those who come.
    pub fn tenures(self) -> impl Iterator<Item = (UserId, Tenure)> {
        let Self { membership, at: (rev, after_seq) } = self;
        membership.added.iter().enumerate().filter_map(move |(n, user)| {
            let place = rev.saturating_mul(PLACES_A_CHANGE).saturating_add(i64::try_from(n).unwrap_or(0));
            let sees_all = !membership.without_history.contains(user);
            let (from_seq, from_rev) = if sees_all { (0, 0) } else { (after_seq, rev) };
            let role = role_in(membership, user).unwrap_or(Role::Member);
            Some((UserId::new(user.as_str()).ok()?, Tenure { role, place, from_seq, from_rev }))
        })
    }
}

/// The role that a change gives a user, if it does.
pub fn role_in(membership: &Membership, user: &str) -> Option<Role> {
    let given = membership.roles.iter().find(|member| member.user_id == user)?;
    Some(given.role()).filter(|role| *role != Role::Unspecified)
}

#[cfg(test)]
mod tests {
    use proto::chat::{Closing, Deleted, Edited, Member};

    use super::*;

    fn change(rev: i64, kind: Kind) -> Change {
        Change { rev, after_seq: 9, created_at_ms: 0, kind: Some(kind) }
    }

    #[test]
    fn who_comes_without_the_history_sees_what_is_behind_its_coming() {
        let membership = Membership {
            added: vec!["bob".into(), "carol".into()],
            roles: vec![Member { user_id: "carol".into(), role: Role::Admin.into() }],
            without_history: vec!["carol".into()],
            ..Membership::default()
        };
        let come: Vec<_> = Arrival { membership: &membership, at: (4, 9) }.tenures().collect();
        let [(_, bob), (_, carol)] = come[..] else { panic!("{come:?}") };
        assert_eq!(bob, Tenure { role: Role::Member, place: 4_000, from_seq: 0, from_rev: 0 });
        assert_eq!(carol, Tenure { role: Role::Admin, place: 4_001, from_seq: 9, from_rev: 4 });
        assert_eq!([9, 10].map(|seq| carol.sees_message(seq)), [false, true]);
        assert!(bob.sees_message(1));
        let edited = |seq| Kind::Edited(Edited { seq, ..Edited::default() });
        let deleted = |seq| Kind::Deleted(Deleted { seq, ..Deleted::default() });
        for (rev, kind, sees) in [
            (3, Kind::Closing(Closing {}), false),
            (4, Kind::Membership(membership), true),
            (5, edited(9), false),
            (5, edited(10), true),
            (5, deleted(3), false),
            (6, Kind::Closing(Closing {}), true),
        ] {
            assert_eq!(carol.sees_change(&change(rev, kind.clone())), sees, "{rev} {kind:?}");
            assert!(bob.sees_change(&change(rev, kind)));
        }
    }
}

//! The audience of a match: its members, as their last change left them. Pure.

use std::sync::Arc;

use proto::{
    MatchId, UserId,
    chat::{Membership, Role},
};
use quick_cache::{Weighter, sync::Cache};

use crate::tenure::{Arrival, Tenure, role_in};

/// How many matches of two are remembered: about 20 MB of ids.
const REMEMBERED: usize = 100_000;
/// The weight of so many matches: each weighs as much as it has members.
const REMEMBERED_MEMBERS: u64 = 2 * REMEMBERED as u64;

/// The members of a match, however many, as one change of them left them. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audience {
    /// Sorted.
    members: Arc<[UserId]>,
    /// Of a group: one for each member, in their order.
    tenures: Option<Arc<[Tenure]>>,
    version: i64,
}

impl Audience {
    /// The members, in any order, after the change with this rev; 0 if they never changed.
    pub fn new(mut members: Vec<UserId>, version: i64) -> Self {
        members.sort_unstable();
        Self { members: members.into(), tenures: None, version }
    }

    /// Those of a group, each once.
    pub fn group(mut members: Vec<(UserId, Tenure)>, version: i64) -> Self {
        members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let (members, tenures): (Vec<_>, Vec<_>) = members.into_iter().unzip();
        Self { members: members.into(), tenures: Some(tenures.into()), version }
    }

    /// The same with more members, who see everything, after the change with this rev.
    #[must_use]
    pub fn with(&self, more: impl IntoIterator<Item = UserId>, version: i64) -> Self {
        let more = more.into_iter().filter(|user| !self.has(user)).map(|user| (user, LAST));
        self.joined_by(more.collect(), version)
    }

    /// The members after a change of them with this rev, behind the message with this seq.
    #[must_use]
    pub fn changed_by(&self, membership: &Membership, (rev, after_seq): (i64, i64)) -> Self {
        let arrivals = Arrival { membership, at: (rev, after_seq) }.tenures();
        let mut next = self.without(&membership.removed);
        let arrivals = arrivals.filter(|(user, _)| !next.has(user)).collect();
        if let Some(tenures) = &mut next.tenures {
            let given = next.members.iter().map(|user| role_in(membership, user.as_str()));
            let tenures_now = tenures.iter().zip(given);
            *tenures = tenures_now.map(|(of, role)| Tenure { role: role.unwrap_or(of.role), ..*of }).collect();
        }
        next.joined_by(arrivals, rev)
    }

    fn joined_by(&self, more: Vec<(UserId, Tenure)>, version: i64) -> Self {
        match &self.tenures {
            Some(tenures) => {
                let here = self.members.iter().cloned().zip(tenures.iter().copied());
                Self::group(here.chain(more).collect(), version)
            }
            None => Self::new(self.members.iter().cloned().chain(more.into_iter().map(|of| of.0)).collect(), version),
        }
    }

    /// The same with fewer members.
    #[must_use]
    pub fn without(&self, removed: &[String]) -> Self {
        self.filtered(|user, _| !removed.iter().any(|removed| removed == user.as_str()))
    }

    fn filtered(&self, is_left: impl Fn(&UserId, Option<&Tenure>) -> bool) -> Self {
        let here = self.members.iter().enumerate();
        let here = here.map(|(n, user)| (user, self.tenures.as_ref().and_then(|tenures| tenures.get(n))));
        let left = here.filter(|(user, tenure)| is_left(user, *tenure));
        let (members, tenures): (Vec<_>, Vec<_>) = left.map(|(user, of)| (user.clone(), of.copied())).unzip();
        let tenures = self.tenures.as_ref().map(|_| tenures.into_iter().flatten().collect());
        Self { members: members.into(), tenures, version: self.version }
    }

    /// Those who see something, and the others.
    pub fn split(&self, sees: impl Fn(&Tenure) -> bool) -> (Self, Self) {
        if self.tenures.iter().flat_map(|tenures| tenures.iter()).all(&sees) {
            return (self.clone(), Self::new(Vec::new(), self.version));
        }
        (self.filtered(|_, of| of.is_none_or(&sees)), self.filtered(|_, of| !of.is_none_or(&sees)))
    }

    /// Whether a member sees a message.
    pub fn sees_message(&self, user: &UserId, seq: i64) -> bool {
        self.tenure(user).is_none_or(|tenure| tenure.sees_message(seq))
    }

    /// Everybody, sorted.
    pub fn members(&self) -> &[UserId] {
        &self.members
    }

    /// The rev of the change that led to them.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// Whether the user is a member.
    pub fn has(&self, user: &UserId) -> bool {
        self.members.binary_search(user).is_ok()
    }

    /// Whether the match is a group.
    pub fn is_group(&self) -> bool {
        self.tenures.is_some()
    }

    /// The tenure of a member of a group; `None` if the match is no group, or the user no member.
    pub fn tenure(&self, user: &UserId) -> Option<&Tenure> {
        self.tenures.as_ref()?.get(self.members.binary_search(user).ok()?)
    }

    /// The members of a group with what they are.
    pub fn tenures(&self) -> impl Iterator<Item = (&UserId, &Tenure)> {
        self.members.iter().zip(self.tenures.iter().flat_map(|tenures| tenures.iter()))
    }
}

/// Of somebody who is added without a role.
const LAST: Tenure = Tenure { role: Role::Member, place: i64::MAX, from_seq: 0, from_rev: 0 };

/// The audiences of matches in which somebody has sent, within bounds. What is remembered may be out of date: each
/// COMMIT compares its version, and reads the members anew if they have changed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Remembered(Arc<Cache<MatchId, Audience, Members>>);

/// An audience weighs as much as it has members.
#[derive(Debug, Clone)]
struct Members;

impl Weighter<MatchId, Audience> for Members {
    fn weight(&self, _: &MatchId, audience: &Audience) -> u64 {
        // The cache never drops an entry without weight.
        audience.members().len().max(1) as u64
    }
}

impl Default for Remembered {
    fn default() -> Self {
        Self(Arc::new(Cache::with_weighter(REMEMBERED, REMEMBERED_MEMBERS, Members)))
    }
}

impl Remembered {
    /// The audience of a match, if the user is known to belong to it.
    pub fn with(&self, id: &MatchId, user: &UserId) -> Option<Audience> {
        self.0.get(id).filter(|audience| audience.has(user))
    }

    /// The audience of a match, if it is known.
    pub fn of(&self, id: &MatchId) -> Option<Audience> {
        self.0.get(id)
    }

    /// Remembers an audience that was read, unless a later one is remembered.
    pub fn note(&self, id: &MatchId, audience: &Audience) {
        if self.0.get(id).is_none_or(|known| known.version() <= audience.version()) {
            self.0.insert(id.clone(), audience.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    #[test]
    fn the_members_of_a_group_keep_their_standing_when_others_come_and_go() {
        let founding = |name: &str, role, n| (user(name), Tenure::founding(role, n));
        let members = vec![founding("owen", Role::Owner, 0), founding("amy", Role::Admin, 1)];
        let group = Audience::group(members, 0);
        let membership = Membership {
            added: vec!["bob".into()],
            removed: vec!["owen".into()],
            roles: vec![proto::chat::Member { user_id: "amy".into(), role: Role::Owner.into() }],
            without_history: vec!["bob".into()],
            ..Membership::default()
        };
        let next = group.changed_by(&membership, (3, 7));
        assert_eq!(next.members(), [user("amy"), user("bob")]);
        let tenure = |name: &str| *next.tenure(&user(name)).unwrap();
        assert_eq!(tenure("amy"), Tenure { role: Role::Owner, place: 1, from_seq: 0, from_rev: 0 });
        assert_eq!(tenure("bob"), Tenure { role: Role::Member, place: 3_000, from_seq: 7, from_rev: 3 });
        assert_eq!((next.version(), next.is_group(), next.tenure(&user("owen"))), (3, true, None));
        let (seeing, blind) = next.split(|of| of.sees_message(7));
        assert_eq!((seeing.members(), blind.members()), (&[user("amy")][..], &[user("bob")][..]));
        assert!(next.split(|of| of.sees_message(8)).1.members().is_empty());
        let pair = Audience::new(vec![user("amy"), user("bob")], 0).changed_by(&membership, (3, 7));
        assert!(!pair.is_group() && pair.sees_message(&user("bob"), 1), "other matches have no tenures");
    }

    #[test]
    fn an_older_audience_does_not_take_the_place_of_a_newer_one() {
        let (id, known) = (MatchId::new("demo").unwrap(), Remembered::default());
        let old = Audience::new(vec![user("bob"), user("alice")], 0);
        let new = Audience::new(vec![user("bob"), user("carol")], 3);
        known.note(&id, &old);
        assert_eq!(known.with(&id, &user("alice")), Some(old.clone()));
        known.note(&id, &new);
        known.note(&id, &old);
        assert_eq!(known.with(&id, &user("carol")), Some(new));
        assert_eq!(known.with(&id, &user("alice")), None, "who is not among them is looked for");
    }
}

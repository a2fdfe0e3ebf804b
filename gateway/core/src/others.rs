//! The other members of a chat, as a socket of one of them knows them.

use std::sync::Arc;

use proto::{UserId, chat::Membership};

/// A group of at most so many others is small.
const FEW: usize = 8;

/// Everybody but the user whose socket it is. Of a pair it is one.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Others {
    all: Arc<[UserId]>,
    /// Those of whom one has blocked the other: the two show each other nothing. Mostly nobody.
    #[expect(clippy::box_collection, reason = "a vector itself is three words")]
    apart: Option<Box<Vec<UserId>>>,
}

impl Others {
    /// Those of a match's members who are not the user.
    pub fn of(members: &[String], user: &UserId) -> Self {
        let others = members.iter().filter(|member| *member != user.as_str());
        Self { all: others.filter_map(|member| UserId::new(member.as_str()).ok()).collect(), apart: None }
    }

    /// The same, apart from these.
    pub(crate) fn apart_from(mut self, apart: &[String]) -> Self {
        self.set_apart(apart);
        self
    }

    /// The user is apart from these, and from nobody else.
    pub(crate) fn set_apart(&mut self, apart: &[String]) {
        let apart: Vec<UserId> = apart.iter().filter_map(|user| UserId::new(user.as_str()).ok()).collect();
        self.apart = (!apart.is_empty()).then(|| Box::new(apart));
    }

    /// Whether that is something else than until now.
    pub(crate) fn would_change(&self, apart: &[String]) -> bool {
        let known = self.apart.as_ref().map_or(&[][..], |known| known.as_slice());
        known.len() != apart.len() || !known.iter().all(|user| names(apart, user))
    }

    /// The one other member of a pair.
    pub(crate) fn only(&self) -> Option<&UserId> {
        if let [other] = &*self.all { Some(other) } else { None }
    }

    /// Whether one of the two has blocked the other.
    pub(crate) fn is_apart(&self, user: &UserId) -> bool {
        self.apart.as_ref().is_some_and(|apart| apart.contains(user))
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &UserId> {
        self.all.iter()
    }

    /// All who are to be told what the user does.
    pub(crate) fn told(&self) -> Arc<[UserId]> {
        match self.apart {
            None => Arc::clone(&self.all),
            Some(_) => self.all.iter().filter(|other| !self.is_apart(other)).cloned().collect(),
        }
    }

    /// Whether they are few: then each can be spoken of by itself.
    pub(crate) fn are_few(&self) -> bool {
        self.all.len() <= FEW
    }

    /// Whether the user is one of them.
    pub(crate) fn has(&self, user: &UserId) -> bool {
        self.all.contains(user)
    }

    /// The members have changed.
    pub(crate) fn change(&mut self, Membership { added, removed, .. }: &Membership, user: &UserId) {
        let is_left = |other: &&UserId| ![added, removed].iter().any(|named| names(named, other));
        let left = self.all.iter().filter(is_left).cloned();
        self.all = left.chain(Self::of(added, user).iter().cloned()).collect();
    }
}

/// Whether the user is among these.
pub(crate) fn names(users: &[String], user: &UserId) -> bool {
    users.iter().any(|named| named == user.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_of(others: &Others) -> Vec<&str> {
        others.iter().map(UserId::as_str).collect()
    }

    #[test]
    fn they_are_all_but_oneself_also_when_the_members_change() {
        let alice = UserId::new("alice").unwrap();
        let mut others = Others::of(&["alice".into(), "bob".into(), "carol".into()], &alice);
        assert_eq!(names_of(&others), ["bob", "carol"]);
        let (added, removed) = (vec!["alice".into(), "carol".into(), "dave".into()], vec!["bob".into()]);
        others.change(&Membership { added, removed, actor: None, ..Membership::default() }, &alice);
        assert_eq!(names_of(&others), ["carol", "dave"]);
        assert!(others.has(&UserId::new("dave").unwrap()) && !others.has(&alice) && others.are_few());
    }

    #[test]
    fn who_is_apart_is_neither_told_nor_shown() {
        let alice = UserId::new("alice").unwrap();
        let [bob, carol] = ["bob", "carol"].map(|id| UserId::new(id).unwrap());
        let mut others = Others::of(&["alice".into(), "bob".into(), "carol".into()], &alice);
        assert!(!others.would_change(&[]) && others.would_change(&["bob".into()]));
        others.set_apart(&["bob".into()]);
        assert!(!others.would_change(&["bob".into()]) && others.would_change(&["carol".into()]));
        assert_eq!(*others.told(), *std::slice::from_ref(&carol));
        assert!(others.is_apart(&bob) && !others.is_apart(&carol) && others.only().is_none());
        others.set_apart(&[]);
        assert_eq!(others.told().len(), 2);
    }
}

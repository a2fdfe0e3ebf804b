//! The other members of a chat, as a socket of one of them knows them.

use std::sync::Arc;

use proto::{UserId, chat::Membership};

/// A group of at most so many others is small.
const FEW: usize = 8;

/// Everybody but the user whose socket it is. Of a pair it is one.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Others(Arc<[UserId]>);

impl Others {
    /// Those of a match's members who are not the user.
    pub fn of(members: &[String], user: &UserId) -> Self {
        let others = members.iter().filter(|member| *member != user.as_str());
        Self(others.filter_map(|member| UserId::new(member.as_str()).ok()).collect())
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &UserId> {
        self.0.iter()
    }

    /// All of them, to be told something.
    pub(crate) fn all(&self) -> Arc<[UserId]> {
        Arc::clone(&self.0)
    }

    /// Whether they are few: then each can be spoken of by itself.
    pub(crate) fn are_few(&self) -> bool {
        self.0.len() <= FEW
    }

    /// Whether the user is one of them.
    pub(crate) fn has(&self, user: &UserId) -> bool {
        self.0.contains(user)
    }

    /// The members have changed.
    pub(crate) fn change(&mut self, Membership { added, removed, .. }: &Membership, user: &UserId) {
        let is_left = |other: &&UserId| ![added, removed].iter().any(|named| names(named, other));
        let left = self.0.iter().filter(is_left).cloned();
        self.0 = left.chain(Self::of(added, user).iter().cloned()).collect();
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
        others.change(&Membership { added, removed, actor: None }, &alice);
        assert_eq!(names_of(&others), ["carol", "dave"]);
        assert!(others.has(&UserId::new("dave").unwrap()) && !others.has(&alice) && others.are_few());
    }
}

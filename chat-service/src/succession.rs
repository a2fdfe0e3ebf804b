//! The members of a match before and behind each change of them in a batch: these decide who is told what. Pure.

use proto::{
    UserId,
    chat::{Change, change::Kind},
};

use crate::audience::Audience;

/// The audiences of a match in one transaction, one after the other: each change of its members leads to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Succession {
    first: Audience,
    /// Each with the seq behind which it begins.
    later: Vec<(i64, Audience)>,
    /// Who has hidden messages, each by its seq.
    hidden: Vec<(i64, UserId)>,
}

impl Succession {
    /// The members as the transaction finds them.
    pub fn new(first: Audience) -> Self {
        Self { first, later: Vec::new(), hidden: Vec::new() }
    }

    /// Behind the message with this seq others are the members.
    pub fn add(&mut self, after_seq: i64, next: Audience) {
        self.later.push((after_seq, next));
    }

    /// Behind the message with this seq another transaction has found these.
    pub fn follow(&mut self, after_seq: i64, next: Self) {
        if next.first.version() != self.last().version() {
            self.add(after_seq, next.first);
        }
        self.later.extend(next.later);
        self.hidden.extend(next.hidden);
    }

    /// A user has hidden the message with this seq.
    pub fn hide(&mut self, seq: i64, user: UserId) {
        self.hidden.push((seq, user));
    }

    /// The members as the transaction leaves them.
    pub fn last(&self) -> &Audience {
        self.later.last().map_or(&self.first, |(_, audience)| audience)
    }

    /// Whether they have changed.
    pub fn has_changed(&self) -> bool {
        !self.later.is_empty()
    }

    /// Whom a message concerns.
    pub fn of_message(&self, seq: i64) -> &Audience {
        self.until(|after_seq, _| after_seq < seq)
    }

    /// Whom a change concerns: those who are members with it, and those whom it removes.
    pub fn of_change(&self, change: &Change) -> Audience {
        let audience = self.until(|_, audience| audience.version() <= change.rev);
        match &change.kind {
            Some(Kind::Membership(membership)) => {
                let removed = membership.removed.iter().filter_map(|user| UserId::new(user.as_str()).ok());
                audience.with(removed, audience.version())
            }
            _ => audience.clone(),
        }
    }

    /// Of those whom a change concerns, the ones who are told no more than its rev: they have hidden the message whose
    /// content or reactions it shows.
    pub fn blind_to(&self, change: &Change) -> Vec<UserId> {
        let seq = match &change.kind {
            Some(Kind::Edited(edited)) => edited.seq,
            Some(Kind::Reacted(reacted)) => reacted.seq,
            _ => return Vec::new(),
        };
        self.hidden.iter().filter(|(hidden, _)| *hidden == seq).map(|(_, user)| user.clone()).collect()
    }

    /// The last audience that had begun.
    fn until(&self, has_begun: impl Fn(i64, &Audience) -> bool) -> &Audience {
        let later = self.later.iter().rfind(|(after_seq, audience)| has_begun(*after_seq, audience));
        later.map_or(&self.first, |(_, audience)| audience)
    }
}

#[cfg(test)]
mod tests {
    use proto::chat::{Closing, Membership};

    use super::*;

    fn audience(names: &[&str], version: i64) -> Audience {
        Audience::new(names.iter().map(|name| UserId::new(*name).unwrap()).collect(), version)
    }

    fn change(rev: i64, kind: Kind) -> Change {
        Change { rev, after_seq: 7, created_at_ms: 0, kind: Some(kind) }
    }

    #[test]
    fn who_is_removed_hears_of_that_and_of_nothing_behind_it() {
        let mut members = Succession::new(audience(&["alice", "bob"], 0));
        assert!(!members.has_changed());
        members.add(7, audience(&["alice", "carol"], 3));
        let bob = Membership { removed: vec!["bob".into()], ..Membership::default() };
        assert_eq!(members.of_message(7), &audience(&["alice", "bob"], 0));
        let of_change = members.of_change(&change(3, Kind::Membership(bob)));
        assert_eq!(of_change.members(), audience(&["alice", "bob", "carol"], 0).members());
        assert_eq!(members.of_message(8), &audience(&["alice", "carol"], 3));
        for (rev, names) in [(2, ["alice", "bob"]), (4, ["alice", "carol"])] {
            let told = members.of_change(&change(rev, Kind::Closing(Closing {})));
            assert_eq!(told.members(), audience(&names, 0).members());
        }
        assert!(members.has_changed() && members.last().version() == 3);
        members.follow(9, Succession::new(audience(&["alice", "dave"], 5)));
        assert_eq!([9, 10].map(|seq| members.of_message(seq).version()), [3, 5]);
    }
}

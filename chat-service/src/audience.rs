//! The audience of a match: its members, as their last change left them. Pure.

use std::sync::Arc;

use proto::{MatchId, UserId};
use quick_cache::{Weighter, sync::Cache};

/// How many matches of two are remembered: about 20 MB of ids.
const REMEMBERED: usize = 100_000;
/// The weight of so many matches: each weighs as much as it has members.
const REMEMBERED_MEMBERS: u64 = 2 * REMEMBERED as u64;

/// The members of a match, however many, as one change of them left them. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audience {
    /// Sorted.
    members: Arc<[UserId]>,
    version: i64,
}

impl Audience {
    /// The members, in any order, after the change with this rev; 0 if they never changed.
    pub fn new(mut members: Vec<UserId>, version: i64) -> Self {
        members.sort_unstable();
        Self { members: members.into(), version }
    }

    /// The same with more members, after the change with this rev.
    #[must_use]
    pub fn with(&self, more: impl IntoIterator<Item = UserId>, version: i64) -> Self {
        let mut members: Vec<UserId> = self.members.iter().cloned().chain(more).collect();
        members.sort_unstable();
        members.dedup();
        Self::new(members, version)
    }

    /// The same with fewer members.
    #[must_use]
    pub fn without(&self, removed: &[String]) -> Self {
        let is_left = |user: &&UserId| !removed.iter().any(|removed| removed == user.as_str());
        Self::new(self.members.iter().filter(is_left).cloned().collect(), self.version)
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
}

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

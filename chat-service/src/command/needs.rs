//! What the commands of a batch need of the database before they are decided.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use proto::{ClientId, MatchId, UserId};

/// How far the heads of matches move if nothing that is sent is stored yet.
#[derive(Debug, Default)]
pub struct Advances<'a> {
    by_match: BTreeMap<MatchId, i64>,
    fresh: HashSet<(&'a MatchId, &'a UserId, &'a ClientId)>,
}

impl<'a> Advances<'a> {
    /// A message is to be stored under this key. One that is sent twice is stored once.
    pub fn add(&mut self, id: &'a MatchId, sender: &'a UserId, client_id: &'a ClientId) {
        if self.fresh.insert((id, sender, client_id)) {
            *self.by_match.entry(id.clone()).or_default() += 1;
        }
    }

    /// By match, in the order in which these are locked.
    pub fn into_map(self) -> BTreeMap<MatchId, i64> {
        self.by_match
    }
}

/// What is to be looked up, by its keys.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// Messages: (match, sender, clientId).
    pub by_client_id: BTreeSet<(&'a str, &'a str, &'a str)>,
    /// Messages: (match, seq).
    pub by_seq: BTreeSet<(&'a str, i64)>,
    /// Commands that named themselves: (match, user, clientId).
    pub commands: BTreeSet<(&'a str, &'a str, &'a str)>,
    /// Messages of which it is to be looked up who has hidden them: (match, seq).
    pub hidden: BTreeSet<(&'a str, i64)>,
    /// The changes that have closed these matches.
    pub closings: BTreeSet<&'a str>,
    /// The changes that have led to the members of these matches.
    pub memberships: BTreeSet<&'a str>,
    /// Whom users want to add to groups: (match, who adds, who is added).
    pub invitations: BTreeSet<(&'a str, &'a str, &'a str)>,
    /// The changes that have recorded milestones: (match, milestone).
    pub milestones: BTreeSet<(&'a str, &'a str)>,
}

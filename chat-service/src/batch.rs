//! What one COMMIT carries: the commands of many requests and matches, decided together. Pure.

use std::collections::{BTreeMap, BTreeSet, btree_map};

use proto::MatchId;

use crate::{
    audience::Audience,
    command::{Advances, Command, Wanted},
    news::{Entry, Logged},
    outcome::{Outcome, Refusal},
    room::{Head, Room},
    stored::{Named, Row, Version},
    succession::Succession,
};

/// What a batch comes to.
#[derive(Debug, Default, PartialEq)]
pub struct Decision {
    /// One outcome per command.
    pub outcomes: Vec<Outcome>,
    /// What is to be stored.
    pub writes: Writes,
    /// Where the matches that have moved stand after it.
    pub heads: BTreeMap<MatchId, Head>,
    /// What was stored before and is told once more.
    pub retold: Vec<Entry>,
    /// What was stored before.
    pub repeated: Vec<Entry>,
    /// Whom concerns what is told of each match.
    pub members: BTreeMap<MatchId, Succession>,
    /// The audiences that are others than was known, as they are now.
    pub changed: BTreeMap<MatchId, Audience>,
}

/// The rows that a batch stores.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Writes {
    /// New messages: match by match, in `seq` order.
    pub rows: Vec<Row>,
    /// New changes: match by match, in `rev` order.
    pub changes: Vec<Logged>,
    /// Messages that have become others, as they are now.
    pub updates: Vec<Row>,
    /// Earlier versions of messages in `updates`.
    pub versions: Vec<(MatchId, Version)>,
    /// Commands that named themselves.
    pub commands: Vec<(MatchId, Named)>,
}

/// All matches of a batch, in the order in which they are locked.
pub fn matches<'a>(commands: &[&'a dyn Command]) -> BTreeSet<&'a MatchId> {
    commands.iter().map(|command| command.match_id()).collect()
}

/// The jobs by match, each match's in their order: what becomes of a batch that cannot be committed as a whole.
pub fn by_match<J>(jobs: Vec<J>, match_id: impl Fn(&J) -> &MatchId) -> Vec<Vec<J>> {
    let mut matches: BTreeMap<MatchId, Vec<J>> = BTreeMap::new();
    for job in jobs {
        matches.entry(match_id(&job).clone()).or_default().push(job);
    }
    matches.into_values().collect()
}

/// How far each match's head moves if nothing is stored yet; `None` when a command must see what is.
pub fn advances(commands: &[&dyn Command]) -> Option<BTreeMap<MatchId, i64>> {
    let mut advances = Advances::default();
    commands.iter().all(|command| command.advance(&mut advances)).then(|| advances.into_map())
}

/// What the commands have to see of what is stored.
pub fn wanted<'a>(commands: &[&'a dyn Command]) -> Wanted<'a> {
    let mut wanted = Wanted::default();
    for command in commands {
        command.look_up(&mut wanted);
    }
    wanted
}

/// Takes all commands in order, each in its room. A match without a room does not exist.
pub fn decide(commands: &[&dyn Command], mut rooms: BTreeMap<MatchId, Room>) -> Decision {
    let mut decision = Decision::default();
    for command in commands {
        let outcome = match rooms.get_mut(command.match_id()) {
            Some(room) => command.decide(room),
            None => command.refuse(Refusal::NoMatch),
        };
        // The limit of additions a day counts those to all groups, so the batch's other groups hear of these.
        if let Some((by, count)) = outcome.invitations() {
            for room in rooms.values_mut() {
                room.count_invitations(&by, count);
            }
        }
        decision.outcomes.push(outcome);
    }
    for (id, room) in rooms {
        let members = room.members().clone();
        if members.has_changed() {
            decision.changed.insert(id.clone(), members.last().clone());
        }
        decision.members.insert(id.clone(), members);
        let (additions, moved) = room.into_additions();
        decision.writes.rows.extend(additions.rows);
        decision.writes.changes.extend(additions.changes);
        decision.writes.updates.extend(additions.updates.into_values());
        decision.writes.versions.extend(additions.versions.into_iter().map(|version| (id.clone(), version)));
        decision.writes.commands.extend(additions.commands.into_iter().map(|command| (id.clone(), command)));
        decision.heads.extend(moved);
        decision.retold.extend(additions.retold);
        decision.repeated.extend(additions.repeated);
    }
    decision
}

impl Writes {
    /// What is stored by them.
    pub fn into_entries(self) -> impl Iterator<Item = Entry> {
        let messages = self.rows.into_iter().map(|row| Entry::Message(row.message));
        messages.chain(self.changes.into_iter().map(Entry::Change))
    }
}

impl Decision {
    /// Adds the decision of the next piece of a command that this is the decision of. All pieces are of one match; its
    /// members may have changed in between.
    pub fn add(&mut self, next: Self) {
        for outcome in next.outcomes {
            match self.outcomes.first_mut() {
                Some(whole) => whole.add(outcome),
                None => self.outcomes.push(outcome),
            }
        }
        let first_seq = next.writes.rows.first().map(|row| row.message.seq);
        for (id, members) in next.members {
            match (self.members.entry(id), first_seq) {
                (btree_map::Entry::Occupied(mut before), Some(seq)) => before.get_mut().follow(seq - 1, members),
                (entry, _) => drop(entry.or_insert(members)),
            }
        }
        self.writes.rows.extend(next.writes.rows);
        self.writes.changes.extend(next.writes.changes);
        self.writes.updates.extend(next.writes.updates);
        self.writes.versions.extend(next.writes.versions);
        self.writes.commands.extend(next.writes.commands);
        self.retold.extend(next.retold);
        self.repeated.extend(next.repeated);
        self.changed.extend(next.changed);
    }
}

#[cfg(test)]
mod tests;

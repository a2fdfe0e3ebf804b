//! What a transaction finds, and what it leaves: all of it or nothing, by the unique keys.

use std::collections::BTreeMap;

use chat_service::{
    batch::Writes,
    command::Wanted,
    lanes::{
        TripError,
        transaction::{Found, Locked},
    },
    news::Logged,
    room::Head,
    stored::{Named, Row},
};
use proto::{
    MatchId,
    chat::{Change, Message, change::Kind},
};

use super::{Recorded, Store, Stored};
use crate::mistake::Mistake;

impl Store {
    /// What is stored of `wanted`.
    pub(super) fn find(&self, heads: BTreeMap<MatchId, Head>, matches: &[(&str, i64)], wanted: &Wanted<'_>) -> Locked {
        let stored = self.rows.borrow();
        let newer = matches.iter().filter_map(|(id, version)| {
            let (id, stored) = stored.get_key_value(*id)?;
            (stored.audience.version() != *version).then(|| (id.clone(), stored.audience.clone()))
        });
        let newer = newer.collect();
        let by_client_id = wanted.by_client_id.iter().filter_map(|(id, sender, client_id)| {
            let stored = stored.get(*id)?;
            stored.row(*stored.by_client_id.get(&((*sender).to_owned(), (*client_id).to_owned()))?)
        });
        let by_seq = wanted.by_seq.iter().filter_map(|(id, seq)| stored.get(*id)?.row(*seq));
        let knows = self.mistake != Some(Mistake::NoDedupe);
        let rows = by_client_id.filter(|_| knows).chain(by_seq).cloned().collect();
        let closings = wanted.closings.iter().filter_map(|id| {
            let is_closing = |change: &&Change| matches!(change.kind, Some(Kind::Closing(_)));
            logged(stored.get_key_value(*id)?, is_closing)
        });
        let milestones = wanted.milestones.iter().filter_map(|(id, name)| {
            let is_it = |change: &&Change| milestone_id(change) == Some(*name);
            logged(stored.get_key_value(*id)?, is_it)
        });
        let memberships = wanted.memberships.iter().filter_map(|id| {
            let (id, stored) = stored.get_key_value(*id)?;
            logged((id, stored), |change| change.rev == stored.audience.version())
        });
        let looks = self.mistake != Some(Mistake::ChangeAgain);
        let changes = closings.chain(milestones).filter(|_| looks).chain(memberships).collect();
        let commands = wanted.commands.iter().filter_map(|(id, user, client_id)| {
            let (id, stored) = stored.get_key_value(*id)?;
            let is_it = |named: &&Named| named.user.as_str() == *user && named.client_id.as_str() == *client_id;
            Some((id.clone(), stored.commands.iter().find(is_it)?.clone()))
        });
        let commands = commands.filter(|_| self.mistake != Some(Mistake::ForgetCommands)).collect();
        Locked { heads, found: Found { rows, changes, commands, ..Found::default() }, changed: newer }
    }

    /// Stores all of it, or nothing.
    pub(super) fn apply(&self, writes: Writes, heads: BTreeMap<MatchId, Head>) -> Result<(), TripError> {
        let mut stored = self.rows.borrow_mut();
        if self.mistake != Some(Mistake::NoDedupe) && !writes.rows.iter().all(|row| is_new_row(&stored, row)) {
            return Err(TripError::Duplicate);
        }
        if !writes.changes.iter().all(|logged| self.is_new_change(&stored, logged)) {
            return Err(TripError::Duplicate);
        }
        for row in writes.rows {
            let Some(stored) = stored.get_mut(row.message.match_id.as_str()) else { continue };
            let Message { match_id, seq, sender_id, client_id, .. } = &row.message;
            self.sim.trace(|| format!("stored  {match_id}:{seq} {client_id} of {sender_id}"));
            stored.head.last_seq = row.message.seq;
            let key = (row.message.sender_id.clone(), row.message.client_id.clone());
            stored.by_client_id.insert(key, row.message.seq);
            stored.messages.push(row);
        }
        for Logged { match_id, change } in writes.changes {
            let Some(stored) = stored.get_mut(&match_id) else { continue };
            self.sim.trace(|| format!("changed {match_id}:{} {:?}", change.rev, change.kind));
            match &change.kind {
                Some(Kind::Milestone(milestone)) => {
                    stored.milestones.push(Recorded { milestone: milestone.clone(), is_announced: false });
                }
                Some(Kind::Membership(membership)) => {
                    stored.audience = stored.audience.changed_by(membership, (change.rev, change.after_seq));
                }
                _ => {}
            }
            stored.changes.push(change);
        }
        for row in writes.updates {
            let Some(stored) = stored.get_mut(row.message.match_id.as_str()) else { continue };
            let at = usize::try_from(row.message.seq - 1).unwrap_or(usize::MAX);
            stored.messages.get_mut(at).into_iter().for_each(|before| before.clone_from(&row));
        }
        for (id, command) in writes.commands {
            stored.get_mut(&id).into_iter().for_each(|stored| stored.commands.push(command.clone()));
        }
        for (id, head) in heads {
            let Some(stored) = stored.get_mut(&id) else { continue };
            let rev = if self.mistake == Some(Mistake::ForgetRev) { stored.head.rev } else { head.rev };
            stored.head = Head { rev, ..head };
        }
        Ok(())
    }

    /// By the keys of `changes` and of `milestones`.
    fn is_new_change(&self, stored: &BTreeMap<MatchId, Stored>, Logged { match_id, change }: &Logged) -> bool {
        let is_same = |other: &Change| {
            let is_named_alike = milestone_id(change).is_some() && milestone_id(change) == milestone_id(other);
            other.rev == change.rev || (is_named_alike && self.mistake != Some(Mistake::ChangeAgain))
        };
        stored.get(match_id).is_some_and(|stored| !stored.changes.iter().any(is_same))
    }
}

fn is_new_row(stored: &BTreeMap<MatchId, Stored>, row: &Row) -> bool {
    stored.get(row.message.match_id.as_str()).is_some_and(|stored| {
        let key = (row.message.sender_id.clone(), row.message.client_id.clone());
        !stored.by_client_id.contains_key(&key) && stored.row(row.message.seq).is_none()
    })
}

fn logged((id, stored): (&MatchId, &Stored), is_it: impl Fn(&&Change) -> bool) -> Option<Logged> {
    let change = stored.changes.iter().find(is_it)?.clone();
    Some(Logged { match_id: id.clone(), change })
}

fn milestone_id(change: &Change) -> Option<&str> {
    match &change.kind {
        Some(Kind::Milestone(milestone)) => Some(&milestone.milestone_id),
        _ => None,
    }
}

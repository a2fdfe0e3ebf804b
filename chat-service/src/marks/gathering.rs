//! Marks that wait to be stored, those of one member in one match as one. Pure: the time goes in.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use proto::{MatchId, UserId};

use crate::mark::Mark;

/// How long a mark waits for others that go with it.
const GATHER: Duration = Duration::from_millis(25);
/// How often the position of one member in one match is stored at most.
const INTERVAL: Duration = Duration::from_secs(1);

/// Most seqs of a kind that one mark carries.
const MAX_SEQS: usize = 64;

type Key = (MatchId, UserId);

/// What waits, and what was stored less than a second ago. `A` is what waits for the answer.
#[derive(Debug)]
pub(super) struct Gathering<A> {
    waiting: HashMap<Key, Waiting<A>>,
    /// By the time when it may be stored, with a number of its own.
    due: BTreeMap<(Instant, u64), Key>,
    /// When it may be stored again.
    stored: HashMap<Key, Instant>,
    /// The same in order.
    expiring: BTreeMap<(Instant, u64), Key>,
    number: u64,
}

#[derive(Debug)]
struct Waiting<A> {
    mark: Mark,
    answers: Vec<A>,
}

impl<A> Default for Gathering<A> {
    fn default() -> Self {
        Self {
            waiting: HashMap::new(),
            due: BTreeMap::new(),
            stored: HashMap::new(),
            expiring: BTreeMap::new(),
            number: 0,
        }
    }
}

impl<A> Gathering<A> {
    /// A mark waits: a moment for others, and until a second has passed since the member's last one was stored.
    pub(super) fn add(&mut self, mark: Mark, answer: A, now: Instant) {
        self.forget(now);
        let key = (mark.match_id.clone(), mark.user.clone());
        if let Some(waiting) = self.waiting.get_mut(&key) {
            merge(&mut waiting.mark.read, mark.read);
            merge(&mut waiting.mark.delivered, mark.delivered);
            return waiting.answers.push(answer);
        }
        let at = self.stored.get(&key).copied().unwrap_or(now).max(now + GATHER);
        self.number += 1;
        self.due.insert((at, self.number), key.clone());
        self.waiting.insert(key, Waiting { mark, answers: vec![answer] });
    }

    /// When something is due next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes what is due by now, at most so many; they count as stored.
    pub(super) fn take_due(&mut self, now: Instant, most: usize) -> Vec<(Mark, Vec<A>)> {
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some(first) = self.due.first_entry()
            && first.key().0 <= now
        {
            let (number, key) = (first.key().1, first.remove());
            let again = now + INTERVAL;
            self.stored.insert(key.clone(), again);
            self.expiring.insert((again, number), key.clone());
            taken.extend(self.waiting.remove(&key).map(|waiting| (waiting.mark, waiting.answers)));
        }
        taken
    }

    /// Forgets what may be stored again.
    fn forget(&mut self, now: Instant) {
        while let Some(first) = self.expiring.first_entry()
            && first.key().0 <= now
        {
            let at = first.key().0;
            let key = first.remove();
            if self.stored.get(&key) == Some(&at) {
                self.stored.remove(&key);
            }
        }
    }
}

/// The seqs of both, each once. Of too many the highest stay, as each says what those below it say, and the lowest.
fn merge(seqs: &mut Vec<i64>, more: Vec<i64>) {
    seqs.extend(more);
    seqs.sort_unstable();
    seqs.dedup();
    if seqs.len() > MAX_SEQS {
        seqs.drain(1..=seqs.len() - MAX_SEQS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(user: &str, read: i64) -> Mark {
        let (match_id, user) = (MatchId::new("m").unwrap(), UserId::new(user).unwrap());
        Mark { match_id, user, read: vec![read], delivered: vec![] }
    }

    fn taken(gathering: &mut Gathering<u32>, now: Instant) -> Vec<(String, Vec<i64>, Vec<u32>)> {
        let due = gathering.take_due(now, 100).into_iter();
        due.map(|(mark, answers)| (mark.user.to_string(), mark.read, answers)).collect()
    }

    #[test]
    fn marks_of_one_member_are_stored_as_one_and_at_most_once_a_second() {
        let (mut gathering, start) = (Gathering::default(), Instant::now());
        gathering.add(mark("alice", 7), 1, start);
        gathering.add(mark("alice", 5), 2, start);
        gathering.add(mark("bob", 1), 3, start);
        assert_eq!(taken(&mut gathering, start), []);
        let first = start + GATHER;
        let alice = |seqs: &[i64], answers: &[u32]| ("alice".to_owned(), seqs.to_vec(), answers.to_vec());
        assert_eq!(taken(&mut gathering, first), [alice(&[5, 7], &[1, 2]), ("bob".to_owned(), vec![1], vec![3])]);
        gathering.add(mark("alice", 8), 4, first + GATHER);
        gathering.add(mark("alice", 9), 5, first + 2 * GATHER);
        assert_eq!(gathering.next_due(), Some(first + INTERVAL));
        assert_eq!(taken(&mut gathering, first + INTERVAL), [alice(&[8, 9], &[4, 5])]);
    }

    #[test]
    fn after_quiet_nothing_is_remembered() {
        let (mut gathering, start) = (Gathering::default(), Instant::now());
        gathering.add(mark("alice", 7), 1, start);
        taken(&mut gathering, start + GATHER);
        gathering.add(mark("bob", 7), 2, start + 2 * INTERVAL);
        assert!(gathering.stored.is_empty() && gathering.expiring.is_empty());
        taken(&mut gathering, start + 3 * INTERVAL);
        assert_eq!((gathering.waiting.len(), gathering.due.len()), (0, 0));
    }

    #[test]
    fn of_many_seqs_the_lowest_and_the_highest_are_kept() {
        let mut seqs = Vec::new();
        (0..200).rev().for_each(|seq| merge(&mut seqs, vec![seq]));
        assert_eq!((seqs.len(), seqs[0], seqs[MAX_SEQS - 1]), (MAX_SEQS, 0, 199));
    }
}

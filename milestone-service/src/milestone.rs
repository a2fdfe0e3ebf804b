//! What milestones there are and when a match reaches them. Pure: no IO, no clock.

use serde::Deserialize;
use thiserror::Error;

/// The longest id of a milestone, and name of what it unlocks, in bytes.
const MAX_NAME_LEN: usize = 64;
/// More would make every register in Redis large.
const MAX_MILESTONES: usize = 64;

/// Something that a match reaches by its number of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Milestone {
    /// Names it for ever: `[A-Za-z0-9_-]{1,64}`.
    pub id: String,
    /// The number of messages that reaches it, at least 1.
    pub threshold: i64,
    /// What the members may do from then on.
    pub unlocks: Vec<String>,
    /// Which matches reach it.
    pub scope: Scope,
}

/// Matches of one kind.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// All that are no groups.
    #[default]
    Pair,
    /// Groups.
    Group,
}

/// All milestones, by threshold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Milestones(Vec<Milestone>);

/// Why a list of milestones makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidMilestones {
    /// An id is not `[A-Za-z0-9_-]{1,64}`.
    #[error("milestone id {0:?} is not 1 to 64 of A-Z a-z 0-9 _ -")]
    MalformedId(String),
    /// An unlock is not `[A-Za-z0-9_-]{1,64}`.
    #[error("milestone {id:?} unlocks {unlock:?}, which is not 1 to 64 of A-Z a-z 0-9 _ -")]
    MalformedUnlock {
        /// The milestone.
        id: String,
        /// What it unlocks.
        unlock: String,
    },
    /// Two milestones have the same id.
    #[error("milestone id {0:?} occurs twice")]
    DuplicateId(String),
    /// A milestone unlocks the same thing twice.
    #[error("milestone {id:?} unlocks {unlock:?} twice")]
    DuplicateUnlock {
        /// The milestone.
        id: String,
        /// What it unlocks.
        unlock: String,
    },
    /// A threshold is zero or negative.
    #[error("milestone {id:?} needs {threshold} messages, which is not positive")]
    NonPositiveThreshold {
        /// The milestone.
        id: String,
        /// Its number of messages.
        threshold: i64,
    },
    /// There are too many.
    #[error("{0} milestones are more than {MAX_MILESTONES}")]
    TooMany(usize),
    /// There are none.
    #[error("there is no milestone")]
    None,
}

impl Milestones {
    /// The list, sorted by threshold, if it makes sense.
    pub fn new(mut milestones: Vec<Milestone>) -> Result<Self, InvalidMilestones> {
        match milestones.len() {
            0 => return Err(InvalidMilestones::None),
            count if count > MAX_MILESTONES => return Err(InvalidMilestones::TooMany(count)),
            _ => {}
        }
        for (index, milestone) in milestones.iter().enumerate() {
            milestone.validate()?;
            if milestones[..index].iter().any(|earlier| earlier.id == milestone.id) {
                return Err(InvalidMilestones::DuplicateId(milestone.id.clone()));
            }
        }
        milestones.sort_by_key(|milestone| milestone.threshold);
        Ok(Self(milestones))
    }

    /// All of them, by threshold.
    pub fn all(&self) -> &[Milestone] {
        &self.0
    }

    /// Those that a match with `count` messages has reached, by threshold.
    pub fn reached(&self, count: i64) -> &[Milestone] {
        &self.0[..self.0.partition_point(|milestone| milestone.threshold <= count)]
    }

    /// Those for matches of a kind, by threshold.
    pub fn of(&self, is_group: bool) -> impl Iterator<Item = &Milestone> {
        self.0.iter().filter(move |milestone| (milestone.scope == Scope::Group) == is_group)
    }

    /// Those that a match with `count` messages has reached and that are not among `recorded`, by threshold.
    pub fn due<'a>(&'a self, count: i64, recorded: &'a [String]) -> impl Iterator<Item = &'a Milestone> {
        self.reached(count).iter().filter(|milestone| !recorded.contains(&milestone.id))
    }
}

impl Milestone {
    /// How many messages a match with `count` of them still lacks; 0 when it has reached this.
    pub fn remaining(&self, count: i64) -> i64 {
        self.threshold.saturating_sub(count).max(0)
    }

    fn validate(&self) -> Result<(), InvalidMilestones> {
        if !is_name(&self.id) {
            return Err(InvalidMilestones::MalformedId(self.id.clone()));
        }
        if self.threshold < 1 {
            return Err(InvalidMilestones::NonPositiveThreshold { id: self.id.clone(), threshold: self.threshold });
        }
        for (index, unlock) in self.unlocks.iter().enumerate() {
            let (id, unlock) = (&self.id, unlock.clone());
            if !is_name(&unlock) {
                return Err(InvalidMilestones::MalformedUnlock { id: id.clone(), unlock });
            }
            if self.unlocks[..index].contains(&unlock) {
                return Err(InvalidMilestones::DuplicateUnlock { id: id.clone(), unlock });
            }
        }
        Ok(())
    }
}

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_LEN).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn milestone(id: &str, threshold: i64, unlocks: &[&str]) -> Milestone {
        let unlocks = unlocks.iter().map(ToString::to_string).collect();
        Milestone { id: id.to_owned(), threshold, unlocks, scope: Scope::Pair }
    }

    #[test]
    fn a_milestone_is_due_at_its_threshold_and_not_before() {
        let milestones = Milestones::new(vec![milestone("m-100", 100, &["video_call"])]).unwrap();
        assert_eq!(milestones.due(99, &[]).count(), 0);
        assert_eq!(milestones.due(100, &[]).count(), 1);
        assert_eq!(milestones.due(101, &["m-100".to_owned()]).count(), 0);
    }

    #[test]
    fn a_milestone_added_later_is_due_beside_recorded_ones() {
        let milestones = Milestones::new(vec![milestone("m-100", 100, &[]), milestone("m-50", 50, &[])]).unwrap();
        let recorded = ["m-100".to_owned()];
        let due: Vec<_> = milestones.due(120, &recorded).map(|due| due.id.as_str()).collect();
        assert_eq!(due, ["m-50"]);
    }

    #[test]
    fn a_list_that_makes_no_sense_is_refused() {
        let refused = |list: Vec<Milestone>| Milestones::new(list).unwrap_err();
        assert_eq!(refused(vec![]), InvalidMilestones::None);
        assert!(matches!(refused(vec![milestone("a.b", 1, &[])]), InvalidMilestones::MalformedId(_)));
        assert!(matches!(refused(vec![milestone(&"x".repeat(65), 1, &[])]), InvalidMilestones::MalformedId(_)));
        assert!(matches!(refused(vec![milestone("a", 0, &[])]), InvalidMilestones::NonPositiveThreshold { .. }));
        assert!(matches!(refused(vec![milestone("a", 1, &["x y"])]), InvalidMilestones::MalformedUnlock { .. }));
        assert!(matches!(refused(vec![milestone("a", 1, &["x", "x"])]), InvalidMilestones::DuplicateUnlock { .. }));
        let twice = vec![milestone("a", 1, &[]), milestone("a", 2, &[])];
        assert_eq!(refused(twice), InvalidMilestones::DuplicateId("a".to_owned()));
        let many = (0..65).map(|index| milestone(&index.to_string(), 1, &[])).collect();
        assert_eq!(refused(many), InvalidMilestones::TooMany(65));
    }

    proptest! {
        #[test]
        fn however_counts_arrive_each_milestone_is_due_until_recorded_and_never_again(
            thresholds in vec(1_i64..200, 1..10),
            counts in vec(0_i64..250, 1..50),
        ) {
            let list = thresholds.iter().enumerate().map(|(i, t)| milestone(&format!("m-{i}"), *t, &[])).collect();
            let milestones = Milestones::new(list).unwrap();
            let (mut register, mut recorded) = (0, Vec::new());
            for count in counts {
                register = register.max(count);
                let due: Vec<_> = milestones.due(register, &recorded).map(|due| due.id.clone()).collect();
                prop_assert!(due.iter().all(|id| !recorded.contains(id)));
                recorded.extend(due);
            }
            let reached = thresholds.iter().filter(|threshold| **threshold <= register).count();
            prop_assert_eq!(recorded.len(), reached);
        }

        #[test]
        fn nothing_remains_exactly_when_it_is_reached(threshold in 1_i64..=i64::MAX, count in 0_i64..=i64::MAX) {
            let one = milestone("m", threshold, &[]);
            let milestones = Milestones::new(vec![one.clone()]).unwrap();
            prop_assert_eq!(one.remaining(count) == 0, milestones.reached(count).len() == 1);
        }
    }
}

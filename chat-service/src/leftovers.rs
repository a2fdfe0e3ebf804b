//! Which milestones a poll announces. Pure.

use std::collections::{BTreeSet, HashSet};

use proto::{MatchId, partition};

/// A milestone by its match and its id.
pub type MilestoneName = (MatchId, String);

/// The milestones that nobody had noted as announced at the last look.
#[derive(Debug, Default)]
pub struct Leftovers {
    seen: HashSet<MilestoneName>,
}

impl Leftovers {
    /// Those of the `unannounced` that are to be announced now: those that were there at the last look already, of the
    /// matches that this replica owns. What is new is being announced by whoever has recorded it.
    pub fn due<M>(&mut self, unannounced: Vec<M>, owned: &BTreeSet<u8>, name: impl Fn(&M) -> MilestoneName) -> Vec<M> {
        let now_seen = unannounced.iter().map(&name).collect();
        let before = std::mem::replace(&mut self.seen, now_seen);
        let is_due = |left: &M| {
            let name = name(left);
            owned.contains(&partition::of(&name.0)) && before.contains(&name)
        };
        unannounced.into_iter().filter(is_due).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(milestone: &str) -> MilestoneName {
        (MatchId::new("demo").unwrap(), milestone.to_owned())
    }

    #[test]
    fn a_milestone_is_left_over_when_it_was_seen_twice_by_the_owner_of_its_match() {
        let (all, none) = ((0..64).collect(), BTreeSet::new());
        let mut leftovers = Leftovers::default();
        let mut due =
            |names: &[&str], owned| leftovers.due(names.iter().map(|name| named(name)).collect(), owned, Clone::clone);
        assert_eq!(due(&["a"], &all), []);
        assert_eq!(due(&["a", "b"], &none), []);
        assert_eq!(due(&["b", "c"], &all), [named("b")]);
        assert_eq!(due(&[], &all), []);
        assert_eq!(due(&["b"], &all), []);
    }
}

//! The conclusion of a match's check: what the clients saw is held against what the database holds.

use std::collections::HashSet;

use crate::{
    chat::{Chat, Closing},
    facts::{MatchFacts, MilestoneRow, Row},
    history::APP_SERVER,
    promise::Promise,
    tag::Tag,
    tally::Tally,
};

impl Chat {
    /// Compares with the database: nothing may come after this. Returns what was checked and found over the whole run.
    pub fn conclude(mut self, facts: &MatchFacts) -> Tally {
        self.check_rows(facts);
        for slot in 0..u8::try_from(self.sides.len()).unwrap_or_default() {
            self.forget(slot, true);
        }
        self.check_milestones(facts);
        self.check_closing(facts);
        for slot in 0..u8::try_from(self.sides.len()).unwrap_or_default() {
            self.check_view(slot, facts);
        }
        self.tally
    }

    /// The match as it is stored if nothing is but what anybody has seen: for who cannot look into the database.
    pub fn as_seen(&self) -> MatchFacts {
        let tags = (1..).zip(&self.stored).filter_map(|(seq, stored)| Some((seq, stored.tag()?)));
        let reached = self.rules.milestones[..usize::from(self.due(self.known().highest))].iter();
        MatchFacts {
            last_seq: u32::try_from(self.stored.len()).unwrap_or(u32::MAX),
            rows: tags.map(|(seq, tag)| Row { seq, tag: Some(tag) }).collect(),
            milestones: reached.map(|threshold| MilestoneRow { seq: *threshold, announced: true }).collect(),
            is_closed: self.closing != Closing::Open,
            removed: Vec::new(),
            stored_late: 0,
        }
    }

    fn check_rows(&mut self, facts: &MatchFacts) {
        let mut names = HashSet::new();
        for (expected, row) in (1..).zip(&facts.rows) {
            self.tally.checked(Promise::Ordered, 1);
            if row.seq != expected {
                self.broken(Promise::Ordered, 0, format!("{} is stored where {expected} is due", row.seq));
                return;
            }
            self.check_row(*row);
            if row.tag.is_some_and(|tag| !names.insert((tag.slot, tag.index))) {
                self.broken(Promise::Once, 0, format!("the database has {:?} twice, also at {}", row.tag, row.seq));
            }
        }
        let held = u32::try_from(facts.rows.len()).unwrap_or(u32::MAX);
        if facts.last_seq != held {
            self.broken(Promise::Ordered, 0, format!("the match counts {} messages and has {held}", facts.last_seq));
        }
        let highest = self.known().highest;
        if highest > held {
            let what = format!("{highest} was acked or seen, the database ends at {held}");
            self.broken(Promise::Durable, 0, what);
        }
    }

    fn check_row(&mut self, row: Row) {
        self.tally.checked(Promise::Durable, 1);
        let seen = self.stored.get(row.seq as usize - 1).and_then(|stored| stored.tag());
        match (seen, row.tag) {
            (Some(seen), Some(held)) if seen == held => {}
            (None, Some(held)) if usize::from(held.slot) < self.sides.len() && held.variant < Tag::VARIANTS => {
                self.learn(row.seq, held);
            }
            (seen, held) => {
                self.broken(Promise::Durable, 0, format!("{} is {held:?} in the database, seen was {seen:?}", row.seq));
            }
        }
    }

    fn check_milestones(&mut self, facts: &MatchFacts) {
        self.tally.checked(Promise::Milestones, 1);
        let held: Vec<_> = facts.milestones.iter().map(|row| (row.seq, row.announced)).collect();
        let due = self.rules.milestones[..usize::from(self.due(facts.last_seq))].iter();
        let due: Vec<_> = due.map(|threshold| (*threshold, true)).collect();
        if held != due {
            let what = format!("the database has the milestones {held:?} (seq, announced) instead of {due:?}");
            self.broken(Promise::Milestones, 0, what);
        }
    }

    fn check_closing(&mut self, facts: &MatchFacts) {
        let what = match self.closing {
            Closing::Open if !facts.is_closed => return,
            Closing::Open => Some("the database has it closed, though nobody had asked for that".to_owned()),
            _ if self.close_is_open => Some("the app server never heard that it is closed".to_owned()),
            Closing::Asked | Closing::Closed => (!facts.is_closed).then(|| "the database has it open again".to_owned()),
        };
        self.judge(Promise::Closed, APP_SERVER, what);
        if facts.stored_late > 0 {
            let what = format!("the database has {} messages that are younger than its end", facts.stored_late);
            self.broken(Promise::Closed, APP_SERVER, what);
        }
    }

    fn check_view(&mut self, slot: u8, facts: &MatchFacts) {
        if self.is_to_close() && self.is_joined(slot) {
            return self.broken(Promise::Closed, slot, "was never told that the match is closed".to_owned());
        }
        if facts.removed.contains(&slot) && self.is_joined(slot) {
            return self.broken(Promise::Delivered, slot, "was never told of its removal".to_owned());
        }
        let view = &mut self.views[usize::from(slot)];
        let (joined, told, connected_to) = (view.joined, view.told, view.cursor);
        if joined {
            view.advance(facts.last_seq.saturating_add(1));
            self.tally.checked(Promise::Delivered, 1);
        }
        self.explain(slot);
        if self.views[usize::from(slot)].unexplained() > 0 {
            self.broken(Promise::Delivered, slot, format!("what followed {connected_to} was left out"));
        }
        let due = self.due(facts.last_seq);
        if joined && told < due {
            self.broken(Promise::Milestones, slot, format!("{told} of {due} milestones were told"));
        }
    }
}

//! Every kind of violation is found, and an honest history has none.

use proto::Code;

use super::*;

mod answers;
mod closed;
mod delivered;
mod guests;
mod honest;
mod milestones;
mod seen;
mod stored;

const MILESTONE: u32 = 100;
const RULES: Rules = Rules { milestones: &[MILESTONE], told_once: false, all_answered: true, remembered: 1_024 };

/// A match of two clients of one user (0, 1) and one of the other (2), all connected and joined.
struct Script {
    chat: Chat,
    at_ms: u32,
    facts: MatchFacts,
}

impl Script {
    fn new() -> Self {
        Self::with(RULES)
    }

    fn with(rules: Rules) -> Self {
        let chat = Chat::new("m".to_owned(), vec![0, 0, 1], rules);
        let mut script = Self { chat, at_ms: 0, facts: MatchFacts::default() };
        for slot in 0..3 {
            script.now(slot, Event::Connected { recovered: false });
            script.now(slot, Event::Joined { last_seq: 0, known: Known::default(), told: 0 });
        }
        script
    }

    fn now(&mut self, slot: u8, event: Event) {
        self.at_ms += 1;
        self.chat.observe(Entry { at_ms: self.at_ms, slot, event });
    }

    fn emit(&mut self, tag: Tag) {
        self.now(tag.slot, Event::Emitted { tag, route: Route::Socket });
    }

    fn store(&mut self, tag: Tag) -> u32 {
        let seq = self.facts.last_seq + 1;
        self.facts.last_seq = seq;
        self.facts.rows.push(Row { seq, tag: Some(tag) });
        seq
    }

    fn ack(&mut self, tag: Tag, seq: u32) {
        self.now(tag.slot, Event::Acked { tag, seq, duplicate: false });
        self.now(tag.slot, Event::Settled { index: tag.index });
    }

    fn refuse(&mut self, tag: Tag, code: Code) {
        self.now(tag.slot, Event::Refused { tag, code });
        self.now(tag.slot, Event::Settled { index: tag.index });
    }

    /// The same happens to several clients.
    fn each(&mut self, slots: &[u8], event: Event) {
        for slot in slots {
            self.now(*slot, event);
        }
    }

    /// A client is connected again, with the cursor that it had.
    fn recover(&mut self, slot: u8, seq: u32, told: u16) {
        self.now(slot, Event::Connected { recovered: true });
        self.now(slot, Event::Resumed { seq, told });
    }

    /// Several clients are given a message.
    fn give(&mut self, tag: Tag, seq: u32, slots: &[u8]) {
        self.each(slots, Event::Received { tag: Some(tag), seq });
    }

    /// A message goes all the way to these clients.
    fn send_to(&mut self, tag: Tag, slots: &[u8]) -> u32 {
        self.emit(tag);
        let seq = self.store(tag);
        self.ack(tag, seq);
        self.give(tag, seq, slots);
        seq
    }

    /// A message goes all the way to everybody.
    fn send(&mut self, slot: u8, index: u32) -> u32 {
        let others: Vec<u8> = (0..3).filter(|other| *other != slot).collect();
        self.send_to(message(slot, index), &others)
    }

    fn conclude(self) -> Tally {
        self.chat.conclude(&self.facts)
    }

    /// Ends with exactly these broken promises.
    #[track_caller]
    fn breaks(self, promises: &[Promise]) {
        let tally = self.conclude();
        let broken: Vec<_> = Promise::ALL.into_iter().filter(|promise| tally.of(*promise).violations > 0).collect();
        assert_eq!(broken, promises, "{:#?}", tally.kept().collect::<Vec<_>>());
    }
}

fn message(slot: u8, index: u32) -> Tag {
    Tag { slot, index, variant: 0 }
}

fn reached(announced: bool) -> MilestoneRow {
    MilestoneRow { seq: MILESTONE, announced }
}

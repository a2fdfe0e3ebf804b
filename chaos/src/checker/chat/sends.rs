//! What becomes of the messages that the clients send.

use proto::Code;

use super::Chat;
use crate::{
    checker::{
        author::{Sending, Sent},
        stored::Origin,
        tally::Promise,
    },
    history::Route,
    tag::Tag,
};

impl Chat {
    pub(super) fn emitted(&mut self, slot: u8, tag: Tag, route: Route) {
        let view = &self.views[usize::from(slot)];
        let origin = if route == Route::Rest { Origin::Rest } else { Origin::Session(view.session) };
        self.authors[usize::from(tag.slot)].emitted(Sending {
            index: tag.index,
            variant: tag.variant,
            origin,
            is_emit: route == Route::Socket && tag.slot == slot,
            connection: view.connection,
            floor: self.highest,
        });
    }

    pub(super) fn acked(&mut self, tag: Tag, seq: u32, duplicate: bool) {
        self.tally.checked(Promise::Durable, 1);
        self.learn(seq, tag);
        if duplicate {
            return;
        }
        let originals = self.authors[usize::from(tag.slot)].sent(tag.index).map_or(1, |sent| {
            sent.originals = sent.originals.saturating_add(1);
            sent.originals
        });
        let twice = originals > 1;
        self.judge(Promise::Once, tag.slot, twice.then(|| format!("{tag:?} was acked as new {originals} times")));
    }

    pub(super) fn refused(&mut self, tag: Tag, code: Code) {
        let Some(sent) = self.authors[usize::from(tag.slot)].sent(tag.index) else { return };
        match code {
            Code::IdempotencyConflict => {
                sent.conflicts |= 1 << tag.variant;
                let wrong = !sent.has_other_variant(tag.variant);
                self.judge(Promise::Once, tag.slot, wrong.then(|| format!("{tag:?} conflicts with nothing")));
            }
            code if code.is_retryable() => {}
            code => {
                sent.refused = true;
                self.broken(Promise::Answered, tag.slot, format!("{tag:?} was refused with {}", code.as_str()));
            }
        }
    }

    /// Forgets what is settled of a client's messages, or all at the end.
    pub(in crate::checker) fn forget(&mut self, slot: u8, at_end: bool) {
        while let Some((index, sent, misplaced)) = self.authors[usize::from(slot)].pop(at_end) {
            if let Some(misplaced) = misplaced {
                let what =
                    format!("message {index} is at {}, one emitted before it at {}", misplaced.seq, misplaced.after);
                self.broken(Promise::Ordered, slot, what);
            }
            self.judge_settled(slot, index, &sent, at_end);
        }
    }

    fn judge_settled(&mut self, slot: u8, index: u32, sent: &Sent, at_end: bool) {
        if at_end && !sent.is_settled() {
            self.broken(Promise::Answered, slot, format!("message {index} never had a final answer"));
        }
        let stored = sent.seq.checked_sub(1).and_then(|at| self.stored[at as usize].tag());
        match stored {
            Some(tag) if sent.conflicts >> tag.variant & 1 == 1 => {
                self.broken(Promise::Once, slot, format!("{tag:?} is stored, and was refused as a conflict"));
            }
            None if sent.conflicts != 0 && sent.is_settled() => {
                self.broken(Promise::Once, slot, format!("message {index} conflicts with what is not stored"));
            }
            Some(tag) if sent.refused => {
                self.broken(Promise::Answered, slot, format!("{tag:?} was refused, and is stored"));
            }
            _ => {}
        }
    }
}

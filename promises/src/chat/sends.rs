//! What becomes of the messages that the clients send: answered, stored, refused.

use proto::Code;

use super::Chat;
use crate::{
    author::{Sending, Sent},
    history::Route,
    promise::Promise,
    stored::{Origin, Stored},
    tag::Tag,
};

/// A seq above this was not given by the system.
pub(super) const MAX_SEQ: u32 = 50_000_000;

impl Chat {
    pub(super) fn emitted(&mut self, slot: u8, tag: Tag, route: Route) {
        let known = self.known();
        let view = &self.views[usize::from(slot)];
        let origin = if route == Route::Rest { Origin::Rest } else { Origin::Session(view.session) };
        self.authors[usize::from(tag.slot)].emitted(Sending {
            index: tag.index,
            variant: tag.variant,
            origin,
            is_emit: route == Route::Socket && tag.slot == slot,
            connection: view.connection,
            known,
        });
    }

    pub(super) fn acked_with(&mut self, tag: Tag, seq: u32, duplicate: bool) {
        self.tally.checked(Promise::Durable, 1);
        self.learn(seq, tag);
        let Some(sent) = self.authors[usize::from(tag.slot)].sent(tag.index) else { return };
        self.acked += u64::from(!std::mem::replace(&mut sent.acked, true));
        if !duplicate {
            sent.originals = sent.originals.saturating_add(1);
            let originals = sent.originals;
            let what = (originals > 1).then(|| format!("{tag:?} was acked as new {originals} times"));
            self.judge(Promise::Once, tag.slot, what);
        }
    }

    pub(super) fn refused(&mut self, tag: Tag, code: Code) {
        let is_guest = self.is_guest(tag.slot);
        let author = &mut self.authors[usize::from(tag.slot)];
        let Some(sent) = author.sent(tag.index) else { return };
        match code {
            Code::IdempotencyConflict => {
                sent.conflicts |= 1 << tag.variant;
                let wrong = !sent.has_other_variant(tag.variant);
                self.judge(Promise::Once, tag.slot, wrong.then(|| format!("{tag:?} conflicts with nothing")));
            }
            Code::MatchClosed => {
                author.refuse(tag.index);
                self.told_closed(tag.slot);
            }
            code if code.is_retryable() => {}
            Code::MatchNotFound if is_guest => author.withhold(tag.index),
            code => self.broken(Promise::Answered, tag.slot, format!("{tag:?} was refused with {}", code.as_str())),
        }
    }

    /// The tag of a message that was seen at `seq`, if it can be one of the clients'.
    pub(super) fn intact(&mut self, slot: u8, tag: Option<Tag>, seq: u32) -> Option<Tag> {
        let tag = tag.filter(|tag| usize::from(tag.slot) < self.sides.len() && tag.variant < Tag::VARIANTS);
        if tag.is_none() || seq == 0 || seq > MAX_SEQ {
            self.broken(Promise::Durable, slot, format!("the message at {seq} is not what anybody sent"));
            return None;
        }
        tag
    }

    /// The message at `seq` is `tag`, somebody says.
    pub(crate) fn learn(&mut self, seq: u32, tag: Tag) {
        if seq == 0 || seq > MAX_SEQ {
            return self.broken(Promise::Ordered, tag.slot, format!("{seq} is no seq"));
        }
        let at = seq as usize - 1;
        if self.stored.len() <= at {
            self.stored.resize(at + 1, Stored::NOTHING);
        }
        match self.stored[at].tag() {
            Some(known) if known == tag => return,
            Some(known) => return self.broken(Promise::Durable, tag.slot, format!("{seq} is {tag:?} and {known:?}")),
            None => {}
        }
        self.tally.checked(Promise::Once, 1);
        self.tally.checked(Promise::Ordered, 1);
        self.locate(seq, tag);
    }

    /// Puts a message where nobody had seen one.
    fn locate(&mut self, seq: u32, tag: Tag) {
        let author = &mut self.authors[usize::from(tag.slot)];
        if author.was_refused(tag.index) {
            return self.broken(Promise::Closed, tag.slot, format!("{tag:?} was refused, and is stored at {seq}"));
        }
        if author.is_past(tag.index) {
            return self.broken(Promise::Once, tag.slot, format!("{tag:?} is stored a second time, at {seq}"));
        }
        let Some(sent) = author.sent(tag.index).filter(|sent| sent.has_variant(tag.variant)) else {
            return self.broken(Promise::Durable, tag.slot, format!("{tag:?} at {seq} was never sent"));
        };
        let (known_seq, known, origin) = (sent.seq, sent.known, sent.origin);
        sent.seq = seq;
        self.stored[seq as usize - 1] = Stored::new(tag, origin);
        if known_seq != 0 {
            self.broken(Promise::Once, tag.slot, format!("{tag:?} is stored at {known_seq} and {seq}"));
        }
        if seq <= known.highest {
            let what = format!("{tag:?} is at {seq}, but was sent after {} was acked", known.highest);
            self.broken(Promise::Ordered, tag.slot, what);
        }
        if known.closed {
            let what = format!("{tag:?} is stored at {seq}, but was sent after the match was closed");
            self.broken(Promise::Closed, tag.slot, what);
        }
        self.rise(seq);
        for slot in 0..self.views.len() {
            self.explain(u8::try_from(slot).unwrap_or_default());
        }
    }

    fn rise(&mut self, seq: u32) {
        self.highest = self.highest.max(seq);
        if self.rules.milestones.first().is_some_and(|first| self.highest >= *first) {
            self.reached_at_ms.get_or_insert(self.now_ms);
        }
    }

    /// Forgets what is settled of a client's messages, or all at the end.
    pub(crate) fn forget(&mut self, slot: u8, at_end: bool) {
        while let Some((index, sent, misplaced)) = self.authors[usize::from(slot)].pop(at_end) {
            if let Some(what) = misplaced {
                self.broken(Promise::Ordered, slot, what);
            }
            self.judge_settled(slot, index, &sent, at_end);
        }
    }

    fn judge_settled(&mut self, slot: u8, index: u32, sent: &Sent, at_end: bool) {
        if at_end && self.rules.all_answered && !sent.is_answered() {
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
            Some(tag) if self.authors[usize::from(slot)].was_refused(index) => {
                self.broken(Promise::Closed, slot, format!("{tag:?} is stored, and was refused"));
            }
            _ => {}
        }
    }
}

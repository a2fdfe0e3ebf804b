//! What the clients are given of a match, and what is kept from them.

use proto::Code;

use super::{Chat, sends::MAX_SEQ};
use crate::{
    author::Author,
    history::{Event, Known},
    promise::Promise,
    stored::{Origin, Stored},
    tag::Tag,
    view,
};

impl Chat {
    pub(super) fn view_changed(&mut self, slot: u8, event: Event) {
        let view = &mut self.views[usize::from(slot)];
        match event {
            Event::Connected { recovered } => {
                view.connected(recovered);
                if !self.rules.told_once {
                    view.announced = 0;
                }
            }
            Event::Reloaded => view.page = view.page.wrapping_add(1),
            Event::Left => view.joined = false,
            Event::ToldClosed => {
                view.joined = false;
                self.told_closed(slot);
            }
            Event::ToldRemoved => {
                view.joined = false;
                let is_member = !self.is_guest(slot);
                self.judge(Promise::Delivered, slot, is_member.then(|| "a member was removed".to_owned()));
            }
            Event::Joined { last_seq, known, told } => {
                view.joined(last_seq, told);
                self.judge_join(slot, last_seq, known);
            }
            Event::JoinRefused { code } => self.join_refused(slot, code),
            Event::Resumed { seq, told } => self.resumed(slot, seq, told),
            Event::Forgotten => {
                self.broken(Promise::Delivered, slot, "an open chat is missing in the cursor".to_owned());
            }
            Event::Received { tag, seq } => self.received(slot, tag, seq),
            Event::Paged { tag, seq } => self.paged(slot, tag, seq),
            Event::PageBroken { expected, found } => {
                self.broken(Promise::Delivered, slot, format!("a page has {found} where {expected} is due"));
            }
            Event::Milestone { ord } => self.milestone(slot, ord),
            _ => {}
        }
    }

    fn judge_join(&mut self, slot: u8, last_seq: u32, known: Known) {
        let is_stale = last_seq < known.highest;
        let what = is_stale.then(|| format!("a join says {last_seq}, {} was acked before", known.highest));
        self.judge(Promise::Durable, slot, what);
        if known.closed {
            self.broken(Promise::Closed, slot, "joined after the match was closed".to_owned());
        }
    }

    fn join_refused(&mut self, slot: u8, code: Code) {
        if code == Code::MatchClosed {
            return self.told_closed(slot);
        }
        let is_fine = code.is_retryable() || (code == Code::MatchNotFound && self.is_guest(slot));
        let what = (!is_fine).then(|| format!("a member's join was refused with {}", code.as_str()));
        self.judge(Promise::Answered, slot, what);
    }

    fn received(&mut self, slot: u8, tag: Option<Tag>, seq: u32) {
        self.tally.checked(Promise::Delivered, 1);
        let Some(tag) = self.intact(slot, tag, seq) else { return };
        if let Some(what) = self.views[usize::from(slot)].received(seq) {
            self.broken(Promise::Delivered, slot, what);
        }
        self.learn(seq, tag);
        self.explain(slot);
        if view::is_own(&self.views[usize::from(slot)], slot, self.message(seq), &self.sides) {
            self.broken(Promise::Delivered, slot, format!("{seq} came back to its sender"));
        }
    }

    fn paged(&mut self, slot: u8, tag: Option<Tag>, seq: u32) {
        self.tally.checked(Promise::Durable, 1);
        if let Some(tag) = self.intact(slot, tag, seq) {
            self.learn(seq, tag);
        }
    }

    pub(super) fn may_be_left_out(&self, slot: u8, seq: u32) -> bool {
        let message = self.message(seq);
        let is_side = |tag: Tag| self.sides[usize::from(tag.slot)] == self.sides[usize::from(slot)];
        let is_unclear = message.origin() == Origin::Unclear && message.tag().is_some_and(is_side);
        is_unclear || view::is_own(&self.views[usize::from(slot)], slot, message, &self.sides)
    }

    fn message(&self, seq: u32) -> Stored {
        self.stored.get(seq as usize - 1).copied().unwrap_or(Stored::NOTHING)
    }

    /// Judges what a client was not given, as far as it is known by now.
    pub(crate) fn explain(&mut self, slot: u8) {
        let view = &mut self.views[usize::from(slot)];
        if view.unexplained() == 0 {
            return;
        }
        for seq in view.wrongly_left_out(slot, &self.stored, &self.sides) {
            self.broken(Promise::Delivered, slot, format!("{seq} was left out"));
        }
    }

    fn resumed(&mut self, slot: u8, seq: u32, told: u16) {
        self.tally.checked(Promise::Delivered, 1);
        if seq > MAX_SEQ {
            return self.broken(Promise::Delivered, slot, format!("the cursor is at {seq}, which is no seq"));
        }
        let view = &mut self.views[usize::from(slot)];
        let (cursor, was_told) = (view.cursor, view.told);
        view.joined = true;
        view.told = told;
        view.advance(seq.saturating_add(1));
        view.cursor = seq.max(cursor);
        if seq < cursor {
            self.broken(Promise::Delivered, slot, format!("the cursor went back from {cursor} to {seq}"));
        }
        // It would be told once more.
        let is_forgotten = told < was_told;
        self.judge(Promise::Milestones, slot, is_forgotten.then(|| "the cursor forgot a milestone".to_owned()));
        self.explain(slot);
    }

    fn milestone(&mut self, slot: u8, ord: u16) {
        self.tally.checked(Promise::Milestones, 1);
        let Some(threshold) = usize::from(ord).checked_sub(1).and_then(|at| self.rules.milestones.get(at)) else {
            return self.broken(Promise::Milestones, slot, format!("there is no milestone {ord}"));
        };
        let view = &mut self.views[usize::from(slot)];
        let (bit, told) = (1_u64 << (ord - 1), if view.joined { view.told } else { 0 });
        let is_again = view.announced & bit != 0 || ord <= told;
        view.announced |= bit;
        let is_early = view.joined && ord > told + 1;
        if view.joined {
            view.told = told.max(ord);
        }
        if is_again {
            self.broken(Promise::Milestones, slot, format!("the milestone {ord} was told again"));
        }
        if is_early {
            self.broken(Promise::Milestones, slot, format!("the milestone {ord} was told after {told} of them"));
        }
        // Whoever is told may be the first to know that the message is stored, but somebody has sent it.
        let sent: u32 = self.authors.iter().map(Author::sent_in_all).sum();
        if sent < *threshold {
            let what = format!("the milestone {ord} was told when {sent} messages had been sent");
            self.broken(Promise::Milestones, slot, what);
        }
    }
}

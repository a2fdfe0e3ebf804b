//! The checker of one match: entries go in as they happen, and what is settled is forgotten but for eight bytes a message.

use super::{
    author::Author,
    calls::Calls,
    recent::Recent,
    stored::{Origin, Stored},
    tally::{Promise, Tally, Violation},
    view::{self, Fault, View},
};
use crate::{
    history::{Entry, Event},
    tag::Tag,
};

/// The message that reaches the milestone.
pub const MILESTONE: u32 = 100;
/// A seq above this was not given by the system.
const MAX_SEQ: u32 = 50_000_000;

mod sends;

/// What is known of one match.
#[derive(Debug)]
pub struct Chat {
    id: String,
    /// The side of each client.
    pub(super) sides: Vec<u8>,
    /// By seq, from 1.
    pub(super) stored: Vec<Stored>,
    /// The highest seq that was acked or seen.
    highest: u32,
    pub(super) authors: Vec<Author>,
    pub(super) views: Vec<View>,
    calls: Calls,
    /// When the message that reaches the milestone was first known to be stored.
    reached_at_ms: Option<u32>,
    recent: Recent,
    pub(super) tally: Tally,
    now_ms: u32,
}

impl Chat {
    /// An empty match of clients, each on side 0 or 1.
    pub fn new(id: String, sides: Vec<u8>) -> Self {
        Self {
            id,
            stored: Vec::new(),
            highest: 0,
            authors: sides.iter().map(|_| Author::default()).collect(),
            views: sides.iter().map(|_| View::default()).collect(),
            calls: Calls::default(),
            reached_at_ms: None,
            recent: Recent::default(),
            tally: Tally::default(),
            now_ms: 0,
            sides,
        }
    }

    /// The match.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The highest seq that anybody knows of.
    pub fn highest(&self) -> u32 {
        self.highest
    }

    /// When the milestone's message was first known to be stored, in milliseconds.
    pub fn reached_at_ms(&self) -> Option<u32> {
        self.reached_at_ms
    }

    /// How many messages may still be sent again or answered.
    pub fn open(&self) -> usize {
        self.authors.iter().map(Author::open).sum()
    }

    /// Violations found so far.
    pub fn violations(&self) -> u64 {
        self.tally.violations()
    }

    /// Whether a client that has the chat open has been given all that is known, and told of the milestone.
    pub fn has_caught_up(&self, slot: u8) -> bool {
        let view = &self.views[usize::from(slot)];
        let rest = (view.cursor + 1..=self.highest).all(|seq| self.may_be_left_out(slot, seq));
        view.joined && rest && (view.told || self.highest < MILESTONE)
    }

    /// Whether a client has the chat open.
    pub fn is_joined(&self, slot: u8) -> bool {
        self.views[usize::from(slot)].joined
    }

    /// The match is over: little is kept until the end.
    pub fn shrink(&mut self) {
        self.recent.shrink();
        self.stored.shrink_to_fit();
    }

    /// The latest of what happened to a client.
    pub fn about(&self, slot: u8) -> Vec<String> {
        self.recent.about(slot)
    }

    fn may_be_left_out(&self, slot: u8, seq: u32) -> bool {
        let message = self.stored.get(seq as usize - 1).copied().unwrap_or(Stored::NOTHING);
        let is_side = |tag: Tag| self.sides[usize::from(tag.slot)] == self.sides[usize::from(slot)];
        let is_unclear = message.origin() == Origin::Unclear && message.tag().is_some_and(is_side);
        is_unclear || view::is_own(&self.views[usize::from(slot)], slot, message, &self.sides)
    }

    /// Something happened.
    pub fn observe(&mut self, entry: Entry) {
        self.now_ms = entry.at_ms;
        self.recent.push(entry);
        let slot = entry.slot;
        match entry.event {
            Event::Emitted { tag, route } => self.emitted(slot, tag, route),
            Event::Acked { tag, seq, duplicate } => self.acked(tag, seq, duplicate),
            Event::Refused { tag, code } => self.refused(tag, code),
            Event::Settled { index } => {
                self.authors[usize::from(slot)].settle(index);
                self.forget(slot, false);
            }
            Event::Received { tag, seq } => self.received(slot, tag, seq),
            Event::Paged { tag, seq } => self.paged(slot, tag, seq),
            Event::CallAccepted { call } => {
                let disagrees = self.calls.accepted(call, (slot, self.views[usize::from(slot)].session));
                self.judge(
                    Promise::Calls,
                    slot,
                    disagrees.map(|(other, _)| format!("client {other} had accepted it on another device")),
                );
            }
            Event::CallEnded { call, reason } => {
                let disagrees = self.calls.ended(call, (slot, self.views[usize::from(slot)].session), reason);
                self.judge(Promise::Calls, slot, disagrees.map(|other| format!("another end was told: {other}")));
            }
            _ => self.view_changed(slot, entry.event),
        }
    }

    fn view_changed(&mut self, slot: u8, event: Event) {
        let view = &mut self.views[usize::from(slot)];
        match event {
            Event::Connected { recovered } => view.connected(recovered),
            Event::Left => view.joined = false,
            Event::Joined { last_seq, floor, told } => {
                view.joined(last_seq, told);
                let stale = last_seq < floor;
                self.judge(
                    Promise::Durable,
                    slot,
                    stale.then(|| format!("a join says {last_seq}, {floor} was acked before")),
                );
            }
            Event::Resumed { seq, told } => self.resumed(slot, seq, told),
            Event::Forgotten => {
                self.broken(Promise::Delivered, slot, "an open chat is missing in the cursor".to_owned());
            }
            Event::PageBroken { expected, found } => {
                self.broken(Promise::Delivered, slot, format!("a page has {found} where {expected} is due"));
            }
            Event::Milestone => self.milestone(slot),
            _ => {}
        }
    }

    fn received(&mut self, slot: u8, tag: Option<Tag>, seq: u32) {
        self.tally.checked(Promise::Delivered, 1);
        let Some(tag) = self.known(slot, tag, seq) else { return };
        let view = &mut self.views[usize::from(slot)];
        let cursor = view.cursor;
        match view.received(seq) {
            Some(Fault::NotJoined) => {
                self.broken(Promise::Delivered, slot, format!("{seq} came to a chat that is not open"));
            }
            Some(Fault::Repeated) => {
                self.broken(Promise::Delivered, slot, format!("{seq} came after {cursor}: twice, or out of order"));
            }
            None => {}
        }
        self.learn(seq, tag);
        self.explain(slot);
        let message = self.stored.get(seq as usize - 1).copied().unwrap_or(Stored::NOTHING);
        if view::is_own(&self.views[usize::from(slot)], slot, message, &self.sides) {
            self.broken(Promise::Delivered, slot, format!("{seq} came back to its sender"));
        }
    }

    fn paged(&mut self, slot: u8, tag: Option<Tag>, seq: u32) {
        self.tally.checked(Promise::Durable, 1);
        if let Some(tag) = self.known(slot, tag, seq) {
            self.learn(seq, tag);
        }
    }

    fn known(&mut self, slot: u8, tag: Option<Tag>, seq: u32) -> Option<Tag> {
        let tag = tag.filter(|tag| usize::from(tag.slot) < self.sides.len() && tag.variant < 4);
        if tag.is_none() || seq == 0 || seq > MAX_SEQ {
            self.broken(Promise::Durable, slot, format!("the message at {seq} is not what anybody sent"));
            return None;
        }
        tag
    }

    /// The message at `seq` is `tag`, somebody says.
    pub(super) fn learn(&mut self, seq: u32, tag: Tag) {
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
        let author = &mut self.authors[usize::from(tag.slot)];
        if author.is_past(tag.index) {
            return self.broken(Promise::Once, tag.slot, format!("{tag:?} is stored a second time, at {seq}"));
        }
        let Some(sent) = author.sent(tag.index).filter(|sent| sent.has_variant(tag.variant)) else {
            return self.broken(Promise::Durable, tag.slot, format!("{tag:?} at {seq} was never sent"));
        };
        let (known_seq, floor, origin) = (sent.seq, sent.floor, sent.origin);
        sent.seq = seq;
        self.stored[at] = Stored::new(tag, origin);
        if known_seq != 0 {
            self.broken(Promise::Once, tag.slot, format!("{tag:?} is stored at {known_seq} and {seq}"));
        }
        if seq <= floor {
            let what = format!("{tag:?} is at {seq}, but was sent after {floor} was acked");
            self.broken(Promise::Ordered, tag.slot, what);
        }
        self.rise(seq);
        for slot in 0..self.views.len() {
            self.explain(u8::try_from(slot).unwrap_or_default());
        }
    }

    fn rise(&mut self, seq: u32) {
        self.highest = self.highest.max(seq);
        if self.highest >= MILESTONE {
            self.reached_at_ms.get_or_insert(self.now_ms);
        }
    }

    /// Judges what a client was not given, as far as it is known by now.
    pub(super) fn explain(&mut self, slot: u8) {
        let view = &mut self.views[usize::from(slot)];
        if view.unexplained() == 0 {
            return;
        }
        for seq in view.wrongly_left_out(slot, &self.stored, &self.sides) {
            self.broken(Promise::Delivered, slot, format!("{seq} was left out"));
        }
    }

    fn resumed(&mut self, slot: u8, seq: u32, told: bool) {
        self.tally.checked(Promise::Delivered, 1);
        let view = &mut self.views[usize::from(slot)];
        let cursor = view.cursor;
        view.joined = true;
        view.told = told;
        view.advance(seq.saturating_add(1));
        view.cursor = seq.max(cursor);
        if seq < cursor {
            self.broken(Promise::Delivered, slot, format!("the cursor went back from {cursor} to {seq}"));
        }
        self.explain(slot);
    }

    fn milestone(&mut self, slot: u8) {
        self.tally.checked(Promise::Milestones, 1);
        let view = &mut self.views[usize::from(slot)];
        let again = view.told_here || (view.joined && view.told);
        view.told_here = true;
        view.told |= view.joined;
        if again {
            self.broken(Promise::Milestones, slot, "the milestone was told again".to_owned());
        }
    }

    pub(super) fn judge(&mut self, promise: Promise, slot: u8, wrong: Option<String>) {
        self.tally.checked(promise, 1);
        if let Some(what) = wrong {
            self.broken(promise, slot, what);
        }
    }

    /// A promise was not kept.
    pub(super) fn broken(&mut self, promise: Promise, slot: u8, what: String) {
        let trace = self.recent.trace(slot);
        let violation = Violation { promise, at: crate::history::ms(self.now_ms), scene: self.id.clone(), what, trace };
        self.tally.violated(violation);
    }
}

//! What a client knows of its chats, held against what it hears and in the end against what is stored.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use gateway_core::views::{self, MessageFields};
use promises::{Event, Promise, Violation, page};
use proto::client::{both, event};

use super::{Asked, Client, heard::Heard};
use crate::{promises::seq, world::World};

/// Messages of a page of history; few, so that the runs have several pages.
const PAGE: usize = 4;

/// What a client knows.
#[derive(Default)]
pub(super) struct View {
    /// The chats that its socket has joined.
    pub(super) joined: BTreeSet<usize>,
    /// Joins that were acked and whose `chat_joined` follows, with the head and the number of milestones in the ack.
    pub(super) acked_joins: Vec<(Asked, i64, usize)>,
    /// The messages it has.
    known: BTreeMap<usize, BTreeSet<i64>>,
    /// Who is shown as typing in which chat, on this connection.
    pub(super) typists: BTreeSet<(usize, String)>,
    /// The steps of calls that it was told of, as long as it is recovered.
    pub(super) calls: BTreeSet<(String, &'static str)>,
    /// The message behind which the last change stands that it was told of: all up to it came before.
    changed_after: BTreeMap<usize, i64>,
    /// Calls that rang here and were over when it connected: of these ends it must be told.
    missed_ends: BTreeSet<String>,
    /// Where it began to collect them: what is older it does not ask for.
    floors: BTreeMap<usize, i64>,
}

impl View {
    /// The client begins to collect a chat's messages after `last_seq`, unless it does so already.
    pub(super) fn begin(&mut self, chat: usize, last_seq: i64) {
        self.floors.entry(chat).or_insert(last_seq);
    }

    /// Whether the chat's join was acked.
    fn is_joining(&self, chat: usize) -> bool {
        self.acked_joins.iter().any(|(asked, _, _)| asked.chat == chat)
    }

    /// The client has connected: the last call that it heard of may be over. Of earlier ones nothing is told any more.
    pub(super) fn note_missed_ends(&mut self, world: &World) {
        // Their ids are in the order of their beginnings.
        let last = self.calls.iter().map(|(id, _)| id).max();
        let rang = self.calls.iter().filter(|(_, step)| *step == event::VIDEO_CALL_INCOMING).map(|(id, _)| id);
        let rang = rang.filter(|id| Some(*id) == last);
        let is_untold = |id: &&String| !self.calls.contains(&((*id).clone(), both::VIDEO_CALL_ENDED));
        self.missed_ends = rang.filter(is_untold).filter(|id| world.calls.is_over(world, id)).cloned().collect();
    }

    /// The client has a message.
    pub(super) fn know(&mut self, chat: usize, seq: i64) {
        self.known.entry(chat).or_default().insert(seq);
    }

    /// The client was told of a change behind this message.
    fn changed(&mut self, chat: usize, after_seq: i64) {
        let changed_after = self.changed_after.entry(chat).or_default();
        *changed_after = after_seq.max(*changed_after);
    }

    /// The seq up to which the client has everything; `None` before it has begun.
    pub(super) fn complete_to(&self, chat: usize) -> Option<i64> {
        let floor = *self.floors.get(&chat)?;
        let known = self.known.get(&chat).into_iter().flatten();
        Some(known.fold(floor, |end, seq| if *seq == end + 1 { *seq } else { end }))
    }
}

impl Client {
    /// A page of history came: the messages that follow `since_seq`.
    pub(super) fn hear_page(&self, chat: usize, since_seq: Option<i64>, messages: &[String]) {
        let cast = &self.world.cast;
        let messages: Vec<Heard> = messages.iter().map(|message| Heard::read(message)).collect();
        let tags = messages.iter().map(|message| (seq(message.seq), message.tag(cast)));
        page(since_seq.map_or(0, seq), tags, |event| self.note(chat, event));
        let mut state = self.state.borrow_mut();
        for message in &messages {
            state.view.know(chat, message.seq);
        }
    }

    /// Reads the pages that follow the one in the ack.
    pub(super) async fn read_on(self: Rc<Self>, chat: usize, last_seq: i64) {
        loop {
            let Some(since) = self.state.borrow().view.complete_to(chat) else { return };
            if since >= last_seq {
                return;
            }
            let id = self.world.cast.chats[chat].id.clone();
            if let Some(replica) = self.world.any_replica() {
                let asked = Rc::clone(&self.world.store).get_match(id, Some(since), PAGE);
                if let Ok(Some(page)) = self.world.net.call(replica.process, asked).await {
                    let shown = page.messages.iter().map(|message| views::message(message, MessageFields::Spread));
                    self.hear_page(chat, Some(since), &shown.collect::<Vec<_>>());
                    continue;
                }
            }
            self.world.sim.sleep(super::JOIN_AGAIN).await;
        }
    }

    /// Takes an event.
    pub(super) fn hear_event(self: &Rc<Self>, name: &'static str, chat: usize, heard: &Heard, cursor: String) {
        match name {
            event::RECEIVE_MESSAGE => self.received(chat, heard, cursor),
            event::MILESTONE_REACHED => self.reached(chat, heard, cursor),
            event::CHAT_JOINED => self.joined(chat, cursor),
            event::CHAT_LEFT => self.left(chat, Event::Left, cursor),
            event::MATCH_CLOSED => {
                let is_removed = heard.reason.as_deref() == Some("removed");
                self.left(chat, if is_removed { Event::ToldRemoved } else { Event::ToldClosed }, cursor);
                self.state.borrow_mut().wanted.remove(&chat);
            }
            event::MEMBERSHIP_CHANGED => self.members_changed(chat, heard, cursor),
            event::USER_TYPING => self.typing(chat, heard),
            event::VIDEO_CALL_INCOMING | both::VIDEO_CALL_ENDED => self.called(name, heard, cursor),
            _ => {}
        }
    }

    /// Who has the chat open is told with a cursor. Who was added joins.
    fn members_changed(self: &Rc<Self>, chat: usize, heard: &Heard, cursor: String) {
        if !cursor.is_empty() {
            let mut state = self.state.borrow_mut();
            state.offset = Some(cursor);
            state.view.changed(chat, heard.after_seq);
        } else if heard.added.iter().any(|user| user == self.world.cast.users[self.user].as_str()) {
            self.join(chat, true);
        }
    }

    fn typing(&self, chat: usize, heard: &Heard) {
        let mut state = self.state.borrow_mut();
        let typist = (chat, heard.user_id.clone());
        if heard.is_typing {
            let is_joined = state.view.joined.contains(&chat) || state.view.is_joining(chat);
            self.world.promises.check(Promise::Delivered, is_joined, || format!("{} sees typing in {chat}", self.name));
            state.view.typists.insert(typist);
        } else {
            state.view.typists.remove(&typist);
        }
    }

    fn called(&self, name: &'static str, heard: &Heard, cursor: String) {
        let mut state = self.state.borrow_mut();
        state.offset = Some(cursor);
        let is_first = state.view.calls.insert((heard.call_id.clone(), name));
        if name == both::VIDEO_CALL_ENDED {
            state.view.missed_ends.remove(&heard.call_id);
        }
        self.world
            .promises
            .check(Promise::Delivered, is_first, || format!("{} is told {name} of {} twice", self.name, heard.call_id));
    }

    /// The socket has left a chat: nobody is shown as typing there.
    fn left(&self, chat: usize, event: Event, cursor: String) {
        self.note(chat, event);
        let mut state = self.state.borrow_mut();
        state.view.joined.remove(&chat);
        if !cursor.is_empty() {
            state.offset = Some(cursor);
        }
        let is_silent = state.view.typists.iter().all(|(of, _)| *of != chat);
        self.world.promises.check(Promise::Delivered, is_silent, || {
            format!("{} has left {chat} and still sees somebody type", self.name)
        });
    }

    fn joined(&self, chat: usize, cursor: String) {
        let mut state = self.state.borrow_mut();
        let acked = state.view.acked_joins.iter().position(|(asked, _, _)| asked.chat == chat);
        let Some(index) = acked else {
            return self.world.promises.check(Promise::Delivered, false, || format!("{chat} joined before its ack"));
        };
        let (Asked { keep_others, known, .. }, head, milestones) = state.view.acked_joins.remove(index);
        let others: Vec<_> = state.view.joined.iter().copied().filter(|of| !keep_others && *of != chat).collect();
        for other in others {
            self.note(other, Event::Left);
            state.view.joined.remove(&other);
        }
        state.wanted.retain(|other| keep_others || *other == chat);
        let is_silent = keep_others || state.view.typists.iter().all(|(of, _)| *of == chat);
        self.world.promises.check(Promise::Delivered, is_silent, || {
            format!("{} has left all chats but {chat} and still sees somebody type", self.name)
        });
        state.view.joined.insert(chat);
        state.offset = Some(cursor);
        let told = u16::try_from(milestones).unwrap_or(u16::MAX);
        self.note(chat, Event::Joined { last_seq: seq(head), known, told });
    }

    fn received(&self, chat: usize, heard: &Heard, cursor: String) {
        self.state.borrow_mut().offset = Some(cursor);
        self.note(chat, Event::Received { tag: heard.tag(&self.world.cast), seq: seq(heard.seq) });
        let mut state = self.state.borrow_mut();
        let changed_after = state.view.changed_after.get(&chat).copied().unwrap_or(0);
        self.world.promises.check(Promise::Delivered, heard.seq > changed_after, || {
            format!("{} is given {} of {chat} after a change that follows {changed_after}", self.name, heard.seq)
        });
        state.view.know(chat, heard.seq);
    }

    /// Who has the chat open is told with a cursor.
    fn reached(&self, chat: usize, heard: &Heard, cursor: String) {
        self.note(chat, Event::Milestone { ord: heard.ord() });
        if !cursor.is_empty() {
            let mut state = self.state.borrow_mut();
            state.offset = Some(cursor);
            let after_seq = self.world.store.recorded_after(&self.world.cast.chats[chat].id, heard.milestone);
            state.view.changed(chat, after_seq.unwrap_or_default());
            self.world.promises.check(Promise::Milestones, state.view.joined.contains(&chat), || {
                format!("{} is told of a milestone as if it had joined {chat}", self.name)
            });
        }
    }

    /// What does not hold yet, and must when everything has come right.
    pub(crate) fn first_unmet(&self) -> Option<Violation> {
        let (state, name, promises) = (self.state.borrow(), &self.name, &self.world.promises);
        let (typists, unjoined) = (&state.view.typists, state.wanted.difference(&state.view.joined).next());
        let unmet = [
            promises.unless(Promise::Answered, state.is_connected, || format!("{name} is not connected")),
            promises
                .unless(Promise::Answered, state.unacked == 0, || format!("{name} waits for {} acks", state.unacked)),
            promises.unless(Promise::Delivered, typists.is_empty(), || format!("{name} sees typing in {typists:?}")),
            promises.unless(Promise::Delivered, state.view.missed_ends.is_empty(), || {
                format!("{name} was not told of the end of {:?}", state.view.missed_ends)
            }),
            promises.unless(Promise::Answered, unjoined.is_none(), || format!("{name} has not joined {unjoined:?}")),
        ];
        let incomplete = state.view.joined.iter().map(|chat| {
            let (head, ..) = self.world.store.head(&self.world.cast.chats[*chat].id);
            let complete = state.view.complete_to(*chat);
            let how = || format!("{name} has {chat} up to {complete:?} of {head}");
            promises.unless(Promise::Delivered, complete >= Some(head), how)
        });
        unmet.into_iter().chain(incomplete).flatten().next()
    }
}

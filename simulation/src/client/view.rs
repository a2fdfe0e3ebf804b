//! What a client knows of its chats, held against what it hears and in the end against what is stored.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use gateway_core::views::{self, MessageFields};
use proto::{
    chat::Message,
    client::{both, event},
};

use super::{Client, State, heard::Heard};
use crate::promises::{Promise, Violation};

/// Messages of a page of history; few, so that the runs have several pages.
const PAGE: usize = 4;

/// What a client knows.
#[derive(Default)]
pub(super) struct View {
    /// The chats that its socket has joined.
    pub(super) joined: BTreeMap<usize, Joined>,
    /// Joins that were acked and whose `chat_joined` follows.
    pub(super) acked_joins: Vec<(usize, Joined, bool)>,
    /// Milestones that it was told of, joined or not, on whatever connection.
    told: BTreeSet<(usize, i32)>,
    /// The messages it has.
    known: BTreeMap<usize, BTreeSet<i64>>,
    /// The chats in which the other member is shown as typing, on this connection.
    pub(super) typists: BTreeSet<usize>,
    /// The steps of calls that it was told of on this connection.
    pub(super) calls: BTreeSet<(String, &'static str)>,
    /// Where it began to collect them: what is older it does not ask for.
    floors: BTreeMap<usize, i64>,
}

/// A chat that the socket has joined.
#[derive(Debug, Clone)]
pub(super) struct Joined {
    /// Up to here it was given everything.
    last: i64,
    milestones: BTreeSet<i32>,
}

impl Joined {
    pub(super) fn new(last: i64, milestones: Vec<i32>) -> Self {
        Self { last, milestones: milestones.into_iter().collect() }
    }
}

impl View {
    /// The client begins to collect a chat's messages after `last_seq`, unless it does so already.
    pub(super) fn begin(&mut self, chat: usize, last_seq: i64) {
        self.floors.entry(chat).or_insert(last_seq);
    }

    /// Whether the chat's join was acked.
    fn is_joining(&self, chat: usize) -> bool {
        self.acked_joins.iter().any(|(of, _, _)| *of == chat)
    }

    /// The client has a message.
    pub(super) fn know(&mut self, chat: usize, seq: i64) {
        self.known.entry(chat).or_default().insert(seq);
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
        let expected = since_seq.map_or(0, |since| since + 1)..;
        let is_whole = messages.iter().zip(expected).all(|(message, seq)| self.is_stored(chat, seq, message));
        self.world
            .promises
            .check(Promise::Delivered, is_whole, || format!("a page after {since_seq:?} is {messages:?}"));
        let mut state = self.state.borrow_mut();
        for message in messages {
            state.view.know(chat, Heard::read(message).seq);
        }
    }

    /// Whether a message is shown as it is stored.
    fn is_stored(&self, chat: usize, seq: i64, json: &str) -> bool {
        let stored = self.world.store.message(&self.world.cast.chats[chat].id, seq);
        stored.is_some_and(|stored| views::message(&stored, MessageFields::Spread) == json)
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
    pub(super) fn hear_event(&self, (name, json): (&'static str, &str), chat: usize, heard: &Heard, cursor: String) {
        match name {
            event::RECEIVE_MESSAGE => self.received(chat, (heard.seq, json), cursor),
            event::MILESTONE_REACHED => {
                self.reached(chat, heard.ord(), Some(cursor).filter(|cursor| !cursor.is_empty()));
            }
            event::CHAT_JOINED => self.joined(chat, cursor),
            event::CHAT_LEFT => {
                self.parted(chat);
                self.state.borrow_mut().offset = Some(cursor);
            }
            event::MATCH_CLOSED => self.closed(chat, cursor),
            event::USER_TYPING => self.typing(chat, heard.is_typing),
            event::VIDEO_CALL_INCOMING | both::VIDEO_CALL_ENDED => self.called(name, heard),
            _ => {}
        }
    }

    fn typing(&self, chat: usize, is_typing: bool) {
        let mut state = self.state.borrow_mut();
        if is_typing {
            let is_joined = state.view.joined.contains_key(&chat) || state.view.is_joining(chat);
            self.world.promises.check(Promise::Delivered, is_joined, || format!("{} sees typing in {chat}", self.name));
            state.view.typists.insert(chat);
        } else {
            state.view.typists.remove(&chat);
        }
    }

    fn called(&self, name: &'static str, heard: &Heard) {
        let is_first = self.state.borrow_mut().view.calls.insert((heard.call_id.clone(), name));
        self.world
            .promises
            .check(Promise::Delivered, is_first, || format!("{} is told {name} of {} twice", self.name, heard.call_id));
    }

    /// The socket has left a chat: nobody is shown as typing there.
    fn parted(&self, chat: usize) {
        let mut state = self.state.borrow_mut();
        state.view.joined.remove(&chat);
        let is_silent = !state.view.typists.contains(&chat);
        self.world.promises.check(Promise::Delivered, is_silent, || {
            format!("{} has left {chat} and still sees somebody type", self.name)
        });
    }

    fn joined(&self, chat: usize, cursor: String) {
        let mut state = self.state.borrow_mut();
        let acked = state.view.acked_joins.iter().position(|(of, _, _)| *of == chat);
        let Some(index) = acked else {
            return self.world.promises.check(Promise::Delivered, false, || format!("{chat} joined before its ack"));
        };
        let (_, mut joined, keep_others) = state.view.acked_joins.remove(index);
        if let Some(before) = state.view.joined.get(&chat) {
            joined.last = joined.last.max(before.last);
            joined.milestones.extend(&before.milestones);
        }
        if !keep_others {
            state.view.joined.clear();
            state.wanted.retain(|other| *other == chat);
            let is_silent = state.view.typists.iter().all(|other| *other == chat);
            self.world.promises.check(Promise::Delivered, is_silent, || {
                format!("{} has left all chats but {chat} and still sees somebody type", self.name)
            });
        }
        state.view.joined.insert(chat, joined);
        state.offset = Some(cursor);
    }

    fn received(&self, chat: usize, (seq, json): (i64, &str), cursor: String) {
        let promises = &self.world.promises;
        promises.delivered();
        let mut state = self.state.borrow_mut();
        state.offset = Some(cursor);
        let origin = state.origin;
        let Some(joined) = state.view.joined.get_mut(&chat) else {
            return promises.check(Promise::Delivered, false, || format!("{} has not joined {chat}", self.name));
        };
        let id = &self.world.cast.chats[chat].id;
        let last = std::mem::replace(&mut joined.last, seq);
        promises.check(Promise::Delivered, seq > last, || format!("{} gets {id}:{seq} after {last}", self.name));
        promises.check(Promise::Durable, self.is_stored(chat, seq, json), || {
            format!("{} gets {json}, which is not stored", self.name)
        });
        let stored = self.world.store.message(id, seq);
        promises.check(Promise::Delivered, stored.is_none_or(|stored| !self.is_own(&stored, origin)), || {
            format!("{} gets its own {id}:{seq}", self.name)
        });
        let missing = self.first_missing(chat, last, seq - 1, origin);
        promises.check(Promise::Delivered, missing.is_none(), || {
            format!("{} gets {id}:{seq} before {missing:?}", self.name)
        });
        state.view.know(chat, seq);
    }

    fn reached(&self, chat: usize, ord: i32, cursor: Option<String>) {
        let promises = &self.world.promises;
        let mut state = self.state.borrow_mut();
        let is_first = state.view.told.insert((chat, ord));
        promises.check(Promise::Milestones, is_first, || {
            format!("{} is told of milestone {ord} in {chat} twice", self.name)
        });
        let Some(cursor) = cursor else { return };
        state.offset = Some(cursor);
        let Some(joined) = state.view.joined.get_mut(&chat) else {
            return promises.check(Promise::Milestones, false, || format!("{} has not joined {chat}", self.name));
        };
        let is_next = joined.milestones.iter().copied().eq(1..ord);
        joined.milestones.insert(ord);
        promises.check(Promise::Milestones, is_next, || {
            format!("{} is told of milestone {ord} in {chat}, knowing {:?}", self.name, joined.milestones)
        });
    }

    fn closed(&self, chat: usize, cursor: String) {
        self.parted(chat);
        let mut state = self.state.borrow_mut();
        state.wanted.remove(&chat);
        state.offset = Some(cursor);
        let (_, _, is_closed) = self.world.store.head(&self.world.cast.chats[chat].id);
        self.world.promises.check(Promise::Delivered, is_closed, || format!("{chat} is not closed"));
    }

    /// What does not hold yet, and must when everything has come right.
    pub(crate) fn first_unmet(&self) -> Option<Violation> {
        let (state, name) = (self.state.borrow(), &self.name);
        let typists = &state.view.typists;
        let unjoined = state.wanted.iter().find(|chat| !state.view.joined.contains_key(chat));
        let unmet = [
            Promise::Answered.unless(state.is_connected, || format!("{name} is not connected")),
            Promise::Answered.unless(state.unacked == 0, || format!("{name} waits for {} acks", state.unacked)),
            Promise::Delivered.unless(typists.is_empty(), || format!("{name} still sees somebody type in {typists:?}")),
            Promise::Answered.unless(unjoined.is_none(), || format!("{name} has not come to join {unjoined:?}")),
        ];
        let in_chats = state.view.joined.iter().flat_map(|(chat, joined)| self.unmet_in(&state, *chat, joined));
        unmet.into_iter().chain(in_chats).flatten().next()
    }

    fn unmet_in(&self, state: &State, chat: usize, joined: &Joined) -> [Option<Violation>; 4] {
        let (id, name) = (&self.world.cast.chats[chat].id, &self.name);
        let (head, milestones, is_closed) = self.world.store.head(id);
        let missing = self.first_missing(chat, joined.last, head, state.origin);
        let (told, complete) = (&joined.milestones, state.view.complete_to(chat));
        [
            Promise::Delivered.unless(!is_closed, || format!("{name} takes {id} for open")),
            Promise::Delivered.unless(missing.is_none(), || format!("{name} was never given {id}:{missing:?}")),
            Promise::Milestones.unless(told.len() == milestones, || {
                format!("{name} knows {told:?} of {milestones} milestones in {id}")
            }),
            Promise::Delivered
                .unless(complete >= Some(head), || format!("{name} has {id} up to {complete:?} of {head}")),
        ]
    }

    /// The first message in a range that is not the socket's own.
    fn first_missing(&self, chat: usize, after: i64, up_to: i64, origin: u64) -> Option<i64> {
        let id = &self.world.cast.chats[chat].id;
        (after + 1..=up_to)
            .find(|seq| self.world.store.message(id, *seq).is_none_or(|message| !self.is_own(&message, origin)))
    }

    fn is_own(&self, message: &Message, origin: u64) -> bool {
        message.sender_id == self.world.cast.users[self.user].as_str() && message.origin == Some(origin)
    }
}

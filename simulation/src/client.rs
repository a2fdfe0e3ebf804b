//! A client: what the official one does with its connection, and the documented rule by which the app sends.

mod connection;
mod heard;
mod sending;
mod view;

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};

use promises::{APP_SERVER, Event, Known, Promise};
use proto::client::{command, event};
use serde_json::json;

use crate::{
    cast::Cast,
    channel::Answer,
    executor::ProcessId,
    pipe::{Down, Pipe, Up},
    schedule::{CHATS, Deed},
    world::World,
};
use heard::{Answered, Heard};
use sending::Letter;
use view::View;

const JOIN_AGAIN: Duration = Duration::from_millis(500);

/// A device of a user.
pub(crate) struct Client {
    world: Rc<World>,
    process: ProcessId,
    user: usize,
    /// Its number among all clients: its slot in the checkers.
    index: usize,
    name: String,
    state: RefCell<State>,
    next_ack: Cell<u64>,
}

/// A join that waits for its ack.
#[derive(Debug, Clone, Copy)]
struct Asked {
    chat: usize,
    since_seq: Option<i64>,
    keep_others: bool,
    /// What anybody knew when it was asked for.
    known: Known,
}

#[derive(Default)]
struct State {
    pipe: Option<(Rc<Pipe>, ProcessId)>,
    is_connected: bool,
    pid: Option<String>,
    offset: Option<String>,
    /// What was emitted while there was no connection.
    buffered: Vec<Up>,
    waiting: BTreeMap<u64, Answer<Answered>>,
    joining: BTreeMap<u64, Asked>,
    wanted: BTreeSet<usize>,
    view: View,
    sent: Vec<(Letter, i64)>,
    unacked: usize,
    /// How many messages it has written in each match.
    written: [u32; CHATS],
    /// A match to be added to the next offset.
    forged: Option<usize>,
}

impl Client {
    /// Starts a client.
    pub(crate) fn start(world: &Rc<World>, index: usize) -> Rc<Self> {
        let user = Cast::owner(index);
        let name = format!("{}#{index}", world.cast.users[user]);
        let process = world.sim.start();
        let client = Rc::new(Self {
            world: Rc::clone(world),
            process,
            user,
            index,
            name,
            state: RefCell::default(),
            next_ack: Cell::new(0),
        });
        world.sim.spawn(process, Rc::clone(&client).connect_for_ever());
        client
    }

    /// Does something.
    pub(crate) fn act(self: &Rc<Self>, deed: Deed) {
        match deed {
            Deed::Send { chat } => self.send_new(self.own_chat(chat)),
            Deed::Repeat => self.send_again(),
            Deed::Contradict => self.contradict(),
            Deed::Join { chat, keep_others } => self.join(self.own_chat(chat), keep_others),
            Deed::Leave { chat } => self.leave(self.own_chat(chat)),
            Deed::Type { chat, is_typing } => self.show_typing(self.own_chat(chat), is_typing),
            Deed::Intrude { chat } => self.intrude(chat),
            Deed::Cut { noticed_ms } => self.cut(Duration::from_millis(noticed_ms)),
            Deed::Reload => self.reload(),
        }
    }

    /// Emits what waits for an ack, now or when connected. Returns its number.
    fn emit(&self, name: &'static str, argument: &serde_json::Value) -> u64 {
        self.next_ack.set(self.next_ack.get() + 1);
        let (ack, mut state) = (self.next_ack.get(), self.state.borrow_mut());
        let up = Up::Event { name, arguments: [Some(argument.to_string()), None], ack };
        match state.pipe.clone().filter(|_| state.is_connected) {
            Some((pipe, _)) => pipe.emit(up),
            None => state.buffered.push(up),
        }
        ack
    }

    fn id_of(&self, chat: usize) -> &str {
        self.world.cast.chats[chat].id.as_str()
    }

    fn join(self: &Rc<Self>, chat: usize, keep_others: bool) {
        self.state.borrow_mut().wanted.insert(chat);
        // Who is not connected joins when it is.
        if self.state.borrow().is_connected {
            let since_seq = self.state.borrow().view.complete_to(chat);
            let ack = self.emit(command::JOIN_CHAT, &self.join_argument(chat, since_seq, keep_others));
            let known = self.world.promises.known(chat);
            self.state.borrow_mut().joining.insert(ack, Asked { chat, since_seq, keep_others, known });
        }
    }

    fn join_argument(&self, chat: usize, since_seq: Option<i64>, keep_others: bool) -> serde_json::Value {
        json!({ "matchId": self.id_of(chat), "sinceSeq": since_seq, "keepOthers": keep_others })
    }

    fn leave(&self, chat: usize) {
        self.state.borrow_mut().wanted.remove(&chat);
        if self.state.borrow().is_connected {
            self.emit(command::LEAVE_CHAT, &json!(self.id_of(chat)));
        }
    }

    fn show_typing(&self, chat: usize, is_typing: bool) {
        if self.state.borrow().is_connected {
            self.emit(command::TYPING, &json!({ "matchId": self.id_of(chat), "isTyping": is_typing }));
        }
    }

    fn cut(&self, noticed: Duration) {
        let pipe = self.state.borrow().pipe.clone();
        if let Some((pipe, _)) = pipe {
            pipe.cut(noticed);
        }
    }

    fn reload(&self) {
        self.cut(Duration::ZERO);
        let mut state = self.state.borrow_mut();
        (state.pid, state.offset) = (None, None);
        state.view.joined.clear();
    }

    /// Something happened to it in a match.
    fn note(&self, chat: usize, event: Event) {
        self.world.promises.note(chat, self.index, event);
    }

    /// A stranger tries to join, to send, and to recover what it never had.
    fn intrude(self: &Rc<Self>, chat: usize) {
        if self.is_member(chat) || self.is_guest(chat) {
            return;
        }
        let client = Rc::clone(self);
        self.world.sim.spawn(self.process, async move {
            client.knock(chat).await;
            client.state.borrow_mut().forged = Some(chat);
            client.cut(Duration::ZERO);
        });
    }

    fn hear(self: &Rc<Self>, down: Down) {
        self.world.sim.trace(|| format!("{} hears {down:?}", self.name));
        match down {
            Down::Connected { .. } | Down::Event { name: event::SERVER_DRAINING, .. } => {}
            Down::Ack { ack, json } => self.hear_ack(ack, Answered::read(&json)),
            Down::Event { name, json, cursor } => {
                let heard = Heard::read(&json);
                let chat = heard.chat(&self.world.cast);
                let is_own = chat.is_some_and(|chat| self.is_member(chat) || self.may_hear(chat, name, &heard));
                self.world.promises.check(Promise::Secret, is_own, || format!("{} hears {name} {json}", self.name));
                self.hear_event(name, chat.unwrap_or_default(), &heard, cursor);
            }
        }
    }

    fn hear_ack(self: &Rc<Self>, ack: u64, answer: Answered) {
        let join = self.state.borrow_mut().joining.remove(&ack);
        let Some(asked) = join else {
            if let Some(waiting) = self.state.borrow_mut().waiting.remove(&ack) {
                waiting.give(answer);
            }
            return;
        };
        let Asked { chat, since_seq, keep_others, .. } = asked;
        match answer {
            Answered::Joined { last_seq, messages, has_more, milestones } => {
                self.hear_page(chat, since_seq, &messages);
                let mut state = self.state.borrow_mut();
                state.view.acked_joins.push((asked, last_seq, milestones));
                state.view.begin(chat, last_seq);
                // More follows, or this join left to paging what an earlier one would have given.
                let is_behind = has_more || state.view.complete_to(chat) < Some(last_seq);
                drop(state);
                if is_behind {
                    self.world.sim.spawn(self.process, Rc::clone(self).read_on(chat, last_seq));
                }
            }
            Answered::Failed { code, .. } if code.is_retryable() => {
                let client = Rc::clone(self);
                self.world.sim.after(JOIN_AGAIN, move || {
                    if client.state.borrow().wanted.contains(&chat) {
                        client.join(chat, keep_others);
                    }
                });
            }
            Answered::Failed { code, .. } => {
                self.note(chat, Event::JoinRefused { code });
                self.state.borrow_mut().wanted.remove(&chat);
            }
            other => self.world.promises.check(Promise::Answered, false, || format!("a join is answered {other:?}")),
        }
    }

    fn slot(&self) -> u8 {
        u8::try_from(self.index).unwrap_or(APP_SERVER)
    }

    fn is_member(&self, chat: usize) -> bool {
        self.world.cast.chats[chat].members.contains(&self.user)
    }

    fn is_guest(&self, chat: usize) -> bool {
        self.world.cast.chats[chat].guest == Some(self.user)
    }

    /// A guest may hear of a message if it was a member at any time since. So it does when its gateway has missed that
    /// it was out meanwhile, or when a message is told again.
    fn may_hear(&self, chat: usize, name: &str, heard: &Heard) -> bool {
        let is_message = [event::RECEIVE_MESSAGE, event::INBOX_UPDATED].contains(&name);
        let (id, user) = (&self.world.cast.chats[chat].id, &self.world.cast.users[self.user]);
        let seq = heard.seq.max(heard.last_seq);
        self.is_guest(chat) && (!is_message || self.world.store.may_have_read(id, user, seq))
    }

    /// The match, or the other one if the user is no member of it.
    fn own_chat(&self, chat: usize) -> usize {
        if self.is_member(chat) || self.is_guest(chat) { chat } else { 1 - chat }
    }
}

//! A client: what the official one does with its connection, and the documented rule by which the app sends.

mod connection;
mod heard;
mod hearing;
mod joining;
mod reacting;
mod sending;
mod view;

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};

use promises::{Event, Promise, Tag, Violation};
use proto::client::command;
use serde_json::{Value, json};

use crate::{
    cast::Cast,
    channel::{Answer, Arrives},
    executor::ProcessId,
    gateway::Gateways,
    pipe::{Pipe, Up},
    replicas::Replicas,
    schedule::{CHATS, Deed},
    world::World,
};
use heard::Answered;
use view::{Asked, View};

/// A device of a user.
pub(crate) struct Client {
    world: Rc<World>,
    gateways: Rc<Gateways>,
    replicas: Rc<Replicas>,
    process: ProcessId,
    user: usize,
    /// Its number among all clients: its slot in the checkers.
    slot: u8,
    name: String,
    state: RefCell<State>,
    last_ack: Cell<u64>,
}

#[derive(Default)]
struct State {
    /// The connection, and the process of its gateway.
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
    /// How many reactions it has given, and those that were acked, with their revs.
    reactions: usize,
    reacted: Vec<(Reaction, i64)>,
    /// How many messages it has written in each match.
    written: [u32; CHATS],
    /// A match to be added to the next offset.
    forged: Option<usize>,
}

/// What is to be sent, or was.
#[derive(Debug, Clone, Copy)]
struct Letter {
    chat: usize,
    tag: Tag,
}

/// A reaction that is to be, or was.
#[derive(Debug, Clone, Copy)]
struct Reaction {
    chat: usize,
    seq: i64,
    emoji: &'static str,
    on: bool,
    /// Its number among this client's.
    number: usize,
}

impl Client {
    /// Starts a client.
    pub(crate) fn start(world: &Rc<World>, (gateways, replicas): (&Rc<Gateways>, &Rc<Replicas>), slot: u8) -> Rc<Self> {
        let (user, process) = (Cast::owner(slot), world.sim.start());
        let client = Rc::new(Self {
            world: Rc::clone(world),
            gateways: Rc::clone(gateways),
            replicas: Rc::clone(replicas),
            process,
            user,
            slot,
            name: format!("{}#{slot}", world.cast.users[user]),
            state: RefCell::default(),
            last_ack: Cell::new(0),
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
            Deed::React { chat } => self.react(self.own_chat(chat)),
            Deed::ReactAgain => self.react_again(),
            Deed::Join { chat, keep_others } => self.join(self.own_chat(chat), keep_others),
            Deed::Leave { chat } => self.leave(self.own_chat(chat)),
            Deed::Type { chat, is_typing } => self.show_typing(self.own_chat(chat), is_typing),
            Deed::Intrude { chat } => self.intrude(chat),
            Deed::Cut { noticed_ms } => self.cut(Duration::from_millis(noticed_ms)),
            Deed::Reload => self.reload(),
        }
    }

    /// What does not hold yet, and must when everything has come right.
    pub(crate) fn first_unmet(&self) -> Option<Violation> {
        let (state, name) = (self.state.borrow(), &self.name);
        let State { view, unacked, .. } = &*state;
        let (typists, ends, unjoined) =
            (&view.typists, &view.missed_ends, state.wanted.difference(&view.joined).next());
        let differing = self.first_stale();
        let unmet = [
            (Promise::Changes, differing.is_none(), differing.unwrap_or_default()),
            (Promise::Answered, state.is_connected, format!("{name} is not connected")),
            (Promise::Answered, *unacked == 0, format!("{name} waits for {unacked} acks")),
            (Promise::Delivered, typists.is_empty(), format!("{name} sees typing in {typists:?}")),
            (Promise::Delivered, ends.is_empty(), format!("{name} was not told of the end of {ends:?}")),
            (Promise::Answered, unjoined.is_none(), format!("{name} has not joined {unjoined:?}")),
        ];
        let incomplete = view.joined.iter().map(|chat| {
            let head = self.world.store.last_seq(&self.world.cast.chats[*chat].id);
            let complete = view.complete_to(*chat);
            (Promise::Delivered, complete >= Some(head), format!("{name} has {chat} up to {complete:?} of {head}"))
        });
        let mut all = unmet.into_iter().chain(incomplete);
        all.find_map(|(promise, is_kept, how)| self.world.promises.unless(promise, is_kept, || how))
    }

    /// Emits what waits for an ack, now or when connected. Returns its number.
    fn emit(&self, name: &'static str, argument: &Value) -> u64 {
        self.last_ack.set(self.last_ack.get() + 1);
        let (ack, mut state) = (self.last_ack.get(), self.state.borrow_mut());
        let up = Up::Event { name, argument: argument.to_string(), ack };
        match &state.pipe {
            Some((pipe, _)) if state.is_connected => pipe.up.send(up),
            _ => state.buffered.push(up),
        }
        ack
    }

    /// Emits, and expects an ack; `None` when the connection is lost before.
    fn expect(&self, name: &'static str, argument: &Value) -> (u64, Arrives<Answered>) {
        let (answer, arrives) = Answer::expected();
        let ack = self.emit(name, argument);
        self.state.borrow_mut().waiting.insert(ack, answer);
        (ack, arrives)
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

    fn reload(&self) {
        self.cut(Duration::ZERO);
        let mut state = self.state.borrow_mut();
        (state.pid, state.offset) = (None, None);
        state.view.joined.clear();
    }

    /// A stranger tries to join, to send, and to recover what it never had.
    fn intrude(self: &Rc<Self>, chat: usize) {
        if self.is_member(chat) || self.is_guest(chat) {
            return;
        }
        self.spawn(async move |client| {
            client.knock(chat).await;
            client.state.borrow_mut().forged = Some(chat);
            client.cut(Duration::ZERO);
        });
    }

    fn spawn(self: &Rc<Self>, task: impl AsyncFnOnce(&Rc<Self>) + 'static) {
        let client = Rc::clone(self);
        self.world.sim.spawn(self.process, async move { task(&client).await });
    }

    /// Something happened to it in a match.
    fn note(&self, chat: usize, event: Event) {
        self.world.promises.note(chat, self.slot, event);
    }

    /// Holds what happened to it against a promise. `how` follows its name.
    fn check(&self, promise: Promise, is_kept: bool, how: impl FnOnce() -> String) {
        self.world.promises.check(promise, is_kept, || format!("{} {}", self.name, how()));
    }

    fn id_of(&self, chat: usize) -> &str {
        self.world.cast.chats[chat].id.as_str()
    }

    fn is_member(&self, chat: usize) -> bool {
        self.world.cast.chats[chat].members.contains(&self.user)
    }

    fn is_guest(&self, chat: usize) -> bool {
        self.world.cast.chats[chat].guest == Some(self.user)
    }

    /// The match, or the other one if the user is no member of it.
    fn own_chat(&self, chat: usize) -> usize {
        if self.is_member(chat) || self.is_guest(chat) { chat } else { 1 - chat }
    }
}

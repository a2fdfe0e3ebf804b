//! How the app sends: with a clientId, until it is acked or refused for good.

use std::{rc::Rc, time::Duration};

use promises::{Event, Promise, Route, Tag};
use proto::{Code, chat::Stored, client::command};
use serde_json::json;

use super::{
    Client,
    heard::{Answered, Heard},
};
use crate::{
    channel::{Answer, Arrives},
    pipe::Up,
    promises::{body, client_id, seq},
};

const ACK_TIMEOUT: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(500);

/// What is to be sent, or was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Letter {
    chat: usize,
    tag: Tag,
}

impl Client {
    /// Sends a new message.
    pub(super) fn send_new(self: &Rc<Self>, chat: usize) {
        let mut state = self.state.borrow_mut();
        let index = state.written[chat];
        state.written[chat] += 1;
        drop(state);
        let letter = Letter { chat, tag: Tag { slot: self.slot(), index, variant: 0 } };
        let client = Rc::clone(self);
        let emitted = self.emit_letter(letter);
        self.world.sim.spawn(self.process, async move {
            if let Some(stored) = client.send_reliably(letter, emitted).await {
                client.state.borrow_mut().sent.push((letter, stored.seq));
            }
        });
    }

    /// Sends one again that was acked before.
    pub(super) fn send_again(self: &Rc<Self>) {
        let Some((letter, seq)) = self.any_sent() else { return };
        let client = Rc::clone(self);
        let emitted = self.emit_letter(letter);
        self.world.sim.spawn(self.process, async move {
            let Some(stored) = client.send_reliably(letter, emitted).await else { return };
            client.world.promises.check(Promise::Once, stored.duplicate && stored.seq == seq, || {
                format!("{letter:?} had seq {seq}, its repeat is {stored:?}")
            });
        });
    }

    /// Sends another text under a clientId that is taken.
    pub(super) fn contradict(self: &Rc<Self>) {
        let Some((letter, _)) = self.any_sent() else { return };
        let letter = Letter { tag: Tag { variant: 1, ..letter.tag }, ..letter };
        let (client, (_, answer)) = (Rc::clone(self), self.emit_letter(letter));
        self.world.sim.spawn(self.process, async move {
            let Some(answer) = answer.await else { return };
            let is_refusal = |code: Code| match code {
                Code::IdempotencyConflict => true,
                Code::MatchNotFound => client.is_guest(letter.chat),
                code => code.is_retryable(),
            };
            let is_conflict = matches!(&answer, Answered::Failed { code, .. } if is_refusal(*code));
            client
                .world
                .promises
                .check(Promise::Once, is_conflict, || format!("another text for {letter:?} is answered {answer:?}"));
        });
    }

    /// A stranger's join and send.
    pub(super) async fn knock(&self, chat: usize) {
        let join = self.expect(command::JOIN_CHAT, &self.join_argument(chat, Some(0), true));
        let message = json!({ "matchId": self.id_of(chat), "message": "stranger", "clientId": "stranger" });
        let send = self.expect(command::SEND_MESSAGE, &message);
        for answer in [join.1.await, send.1.await].into_iter().flatten() {
            let is_nothing =
                matches!(&answer, Answered::Failed { code, .. } if *code == Code::MatchNotFound || code.is_retryable());
            self.world.promises.check(Promise::Secret, is_nothing, || format!("a stranger is answered {answer:?}"));
        }
    }

    async fn send_reliably(&self, letter: Letter, emitted: (u64, Arrives<Answered>)) -> Option<Stored> {
        self.state.borrow_mut().unacked += 1;
        let stored = self.send_until_answered(letter, emitted).await;
        self.state.borrow_mut().unacked -= 1;
        self.note(letter.chat, Event::Settled { index: letter.tag.index });
        stored
    }

    async fn send_until_answered(&self, letter: Letter, mut emitted: (u64, Arrives<Answered>)) -> Option<Stored> {
        loop {
            let (ack, answer) = emitted;
            let answer = self.world.sim.timeout(ACK_TIMEOUT, answer).await.flatten();
            self.state.borrow_mut().waiting.remove(&ack);
            match answer {
                Some(Answered::Sent(stored)) => {
                    self.acked(letter, &stored);
                    return Some(stored);
                }
                Some(Answered::Failed { code, retry_after_ms }) if code.is_retryable() => {
                    self.world.sim.sleep(retry_after_ms.map_or(RETRY, Duration::from_millis)).await;
                }
                Some(Answered::Failed { code, .. }) => {
                    self.note(letter.chat, Event::Refused { tag: letter.tag, code });
                    self.state.borrow_mut().wanted.remove(&letter.chat);
                    return None;
                }
                Some(other) => {
                    self.world.promises.check(Promise::Answered, false, || format!("a send is answered {other:?}"));
                }
                None => {}
            }
            emitted = self.emit_letter(letter);
        }
    }

    fn emit_letter(&self, Letter { chat, tag }: Letter) -> (u64, Arrives<Answered>) {
        let cast = &self.world.cast;
        let message: serde_json::Value = serde_json::from_str(&body(cast, tag)).unwrap_or_default();
        let argument = json!({ "matchId": self.id_of(chat), "message": message, "clientId": client_id(cast, tag) });
        if self.state.borrow().is_connected {
            self.note(chat, Event::Emitted { tag, route: Route::Socket });
        }
        self.expect(command::SEND_MESSAGE, &argument)
    }

    /// What was buffered is emitted.
    pub(super) fn note_sent(&self, up: &Up) {
        let Up::Event { name: command::SEND_MESSAGE, arguments: [Some(argument), _], .. } = up else { return };
        let (cast, message) = (&self.world.cast, Heard::read(argument));
        if let (Some(chat), Some(tag)) = (message.chat(cast), message.tag_to_send(cast)) {
            self.note(chat, Event::Emitted { tag, route: Route::Socket });
        }
    }

    /// Emits, and expects an ack; `None` when the connection is lost before.
    fn expect(&self, name: &'static str, argument: &serde_json::Value) -> (u64, Arrives<Answered>) {
        let (answer, arrives) = Answer::expected();
        let ack = self.emit(name, argument);
        self.state.borrow_mut().waiting.insert(ack, answer);
        (ack, arrives)
    }

    fn acked(&self, letter: Letter, stored: &Stored) {
        self.world.sim.trace(|| format!("{} is acked {letter:?} as {stored:?}", self.name));
        let (tag, seq, duplicate) = (letter.tag, seq(stored.seq), stored.duplicate);
        self.note(letter.chat, Event::Acked { tag, seq, duplicate });
        let (id, user) = (&self.world.cast.chats[letter.chat].id, &self.world.cast.users[self.user]);
        let was_member = self.world.store.concerns(id, user, stored.seq);
        self.world.promises.check(Promise::Secret, was_member, || {
            format!("{} was no member and is acked {letter:?} as {stored:?}", self.name)
        });
        self.state.borrow_mut().view.know(letter.chat, stored.seq);
    }

    fn any_sent(&self) -> Option<(Letter, i64)> {
        let sent = self.state.borrow().sent.clone();
        self.world.sim.chance(|rng| rng.choice(sent))
    }
}

//! How the app sends: with a clientId, until it is acked or refused for good.

use std::{rc::Rc, time::Duration};

use promises::{Event, Promise, Route, Tag};
use proto::{Code, chat::Stored, client::command};
use serde_json::json;

use super::{
    Client, Letter,
    heard::{Answered, Heard},
};
use crate::{channel::Arrives, pipe::Up, promises::seq};

const ACK_TIMEOUT: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(500);
/// How long a send without an answer may still be carried out. Until then that its sender is no member says nothing:
/// who is one again meanwhile has sent it.
const UNKNOWN_FOR: Duration = Duration::from_secs(10);

impl Client {
    /// Sends a new message.
    pub(super) fn send_new(self: &Rc<Self>, chat: usize) {
        let mut state = self.state.borrow_mut();
        let letter = Letter { chat, tag: Tag { slot: self.slot, index: state.written[chat], variant: 0 } };
        state.written[chat] += 1;
        drop(state);
        let emitted = self.emit_letter(letter);
        self.spawn(async move |client| {
            if let Some(stored) = client.send_reliably(letter, emitted).await {
                client.state.borrow_mut().sent.push((letter, stored.seq));
            }
        });
    }

    /// Sends one again that was acked before.
    pub(super) fn send_again(self: &Rc<Self>) {
        let Some((letter, seq)) = self.any_sent() else { return };
        let emitted = self.emit_letter(letter);
        self.spawn(async move |client| {
            let Some(stored) = client.send_reliably(letter, emitted).await else { return };
            client.check(Promise::Once, stored.duplicate && stored.seq == seq, || {
                format!("has sent {letter:?} with seq {seq}, and its repeat is {stored:?}")
            });
        });
    }

    /// Sends another text under a clientId that is taken.
    pub(super) fn contradict(self: &Rc<Self>) {
        let Some((letter, _)) = self.any_sent() else { return };
        let letter = Letter { tag: Tag { variant: 1, ..letter.tag }, ..letter };
        let (_, answer) = self.emit_letter(letter);
        self.spawn(async move |client| {
            let Some(answer) = answer.pop().await else { return };
            let is_refusal = |code: Code| match code {
                Code::IdempotencyConflict => true,
                Code::MatchNotFound => client.is_guest(letter.chat),
                code => code.is_retryable(),
            };
            let is_conflict = matches!(&answer, Answered::Failed { code, .. } if is_refusal(*code));
            client.check(Promise::Once, is_conflict, || format!("sends {letter:?} and is answered {answer:?}"));
        });
    }

    /// A stranger's join and send.
    pub(super) async fn knock(&self, chat: usize) {
        let join = self.expect(command::JOIN_CHAT, &self.join_argument(chat, (Some(0), 0), true));
        let message = json!({ "matchId": self.id_of(chat), "message": "stranger", "clientId": "stranger" });
        let send = self.expect(command::SEND_MESSAGE, &message);
        let is_nothing = |code: Code| code == Code::MatchNotFound || code.is_retryable();
        for answer in [join.1.pop().await, send.1.pop().await].into_iter().flatten() {
            let is_refused = matches!(&answer, Answered::Failed { code, .. } if is_nothing(*code));
            self.check(Promise::Secret, is_refused, || format!("is a stranger and is answered {answer:?}"));
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
        let mut unknown_since = None;
        loop {
            let (ack, answer) = emitted;
            let answer = self.world.sim.timeout(ACK_TIMEOUT, answer.pop()).await.flatten();
            self.state.borrow_mut().waiting.remove(&ack);
            match answer {
                Some(Answered::Sent(stored)) => {
                    self.acked(letter, &stored);
                    return Some(stored);
                }
                Some(Answered::Failed { code, retry_after_ms }) if code.is_retryable() => {
                    self.world.sim.sleep(retry_after_ms.map_or(RETRY, Duration::from_millis)).await;
                }
                Some(Answered::Failed { code: Code::MatchNotFound, .. })
                    if unknown_since.is_some_and(|since| self.world.sim.now() < since + UNKNOWN_FOR) =>
                {
                    self.world.sim.sleep(RETRY).await;
                }
                Some(Answered::Failed { code, .. }) => {
                    self.note(letter.chat, Event::Refused { tag: letter.tag, code });
                    self.state.borrow_mut().wanted.remove(&letter.chat);
                    return None;
                }
                Some(other) => self.check(Promise::Answered, false, || format!("sends and is answered {other:?}")),
                None => unknown_since = Some(self.world.sim.now()),
            }
            emitted = self.emit_letter(letter);
        }
    }

    fn emit_letter(&self, Letter { chat, tag }: Letter) -> (u64, Arrives<Answered>) {
        let (text, client_id) = (self.world.cast.text(tag), self.world.cast.client_id(tag));
        if self.state.borrow().is_connected {
            self.note(chat, Event::Emitted { tag, route: Route::Socket });
        }
        let argument = json!({ "matchId": self.id_of(chat), "message": text, "clientId": client_id });
        self.expect(command::SEND_MESSAGE, &argument)
    }

    /// What was buffered is emitted.
    pub(super) fn note_sent(&self, up: &Up) {
        let Up::Event { name: command::SEND_MESSAGE, argument, .. } = up else { return };
        let (cast, message) = (&self.world.cast, Heard::read(argument));
        if let (Some(chat), Some(tag)) = (message.chat(cast), message.tag_to_send(cast)) {
            self.note(chat, Event::Emitted { tag, route: Route::Socket });
        }
    }

    fn acked(&self, letter: Letter, stored: &Stored) {
        let (world, Letter { chat, tag }) = (&self.world, letter);
        world.sim.trace(|| format!("{} is acked {letter:?} as {stored:?}", self.name));
        self.note(chat, Event::Acked { tag, seq: seq(stored.seq), duplicate: stored.duplicate });
        let was_member = world.store.concerns(&world.cast.chats[chat].id, &world.cast.users[self.user], stored.seq);
        self.check(Promise::Secret, was_member, || format!("was no member and is acked {letter:?} as {stored:?}"));
        self.state.borrow_mut().view.know(chat, stored.seq);
    }

    fn any_sent(&self) -> Option<(Letter, i64)> {
        let sent = self.state.borrow().sent.clone();
        self.world.sim.chance(|rng| rng.choice(sent))
    }
}

//! How the app sends: with a clientId, until it is acked or refused for good.

use std::{collections::btree_map::Entry, rc::Rc, time::Duration};

use proto::{Code, chat::Stored, client::command};
use serde_json::json;

use super::{Client, heard::Answered};
use crate::{
    channel::{Answer, Arrives},
    promises::Promise,
};

const ACK_TIMEOUT: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(500);

/// A message that was acked.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    chat: usize,
    client_id: String,
    body: String,
    seq: i64,
}

/// What is to be sent.
#[derive(Debug, Clone)]
struct Letter {
    chat: usize,
    client_id: String,
    body: String,
}

impl Client {
    /// Sends a new message.
    pub(super) fn send_new(self: &Rc<Self>, chat: usize) {
        let number = self.next_ack.get() + 1;
        let client_id = format!("{}-{number}", self.name.replace('#', "-"));
        let letter = Letter { chat, body: format!("\"{client_id}\""), client_id };
        let client = Rc::clone(self);
        let emitted = self.emit_letter(&letter);
        self.world.sim.spawn(self.process, async move {
            if let Some(stored) = client.send_reliably(&letter, emitted).await {
                let sent = Sent { chat, client_id: letter.client_id, body: letter.body, seq: stored.seq };
                client.state.borrow_mut().sent.push(sent);
            }
        });
    }

    /// Sends one again that was acked before.
    pub(super) fn send_again(self: &Rc<Self>) {
        let Some(sent) = self.any_sent() else { return };
        let Sent { chat, client_id, body, seq } = sent;
        let (client, letter) = (Rc::clone(self), Letter { chat, client_id, body });
        let emitted = self.emit_letter(&letter);
        self.world.sim.spawn(self.process, async move {
            let Some(stored) = client.send_reliably(&letter, emitted).await else { return };
            client.world.promises.check(Promise::Once, stored.duplicate && stored.seq == seq, || {
                format!("{} had seq {seq}, its repeat is {stored:?}", letter.client_id)
            });
        });
    }

    /// Sends another text under a clientId that is taken.
    pub(super) fn contradict(self: &Rc<Self>) {
        let Some(Sent { chat, client_id, .. }) = self.any_sent() else { return };
        let letter = Letter { chat, body: format!("\"not {client_id}\""), client_id };
        let (client, (_, answer)) = (Rc::clone(self), self.emit_letter(&letter));
        self.world.sim.spawn(self.process, async move {
            let Some(answer) = answer.await else { return };
            let is_conflict = matches!(&answer, Answered::Failed { code, .. } if *code == Code::IdempotencyConflict || code.is_retryable());
            client.world.promises.check(Promise::Once, is_conflict, || {
                format!("{} with another text is answered {answer:?}", letter.client_id)
            });
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

    async fn send_reliably(&self, letter: &Letter, emitted: (u64, Arrives<Answered>)) -> Option<Stored> {
        self.state.borrow_mut().unacked += 1;
        let stored = self.send_until_answered(letter, emitted).await;
        self.state.borrow_mut().unacked -= 1;
        stored
    }

    async fn send_until_answered(&self, letter: &Letter, mut emitted: (u64, Arrives<Answered>)) -> Option<Stored> {
        loop {
            let (ack, answer) = emitted;
            let answer = self.world.sim.timeout(ACK_TIMEOUT, answer).await.flatten();
            self.state.borrow_mut().waiting.remove(&ack);
            match answer {
                Some(Answered::Sent(stored)) => {
                    self.acked(ack, letter, &stored);
                    return Some(stored);
                }
                Some(Answered::Failed { code, retry_after_ms }) if code.is_retryable() => {
                    self.world.sim.sleep(retry_after_ms.map_or(RETRY, Duration::from_millis)).await;
                }
                Some(Answered::Failed { code, .. }) => {
                    self.refused(letter.chat, code);
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

    fn emit_letter(&self, letter: &Letter) -> (u64, Arrives<Answered>) {
        let Letter { chat, client_id, body } = letter;
        let message: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
        let argument = json!({ "matchId": self.id_of(*chat), "message": message, "clientId": client_id });
        self.expect(command::SEND_MESSAGE, &argument)
    }

    /// Emits, and expects an ack; `None` when the connection is lost before.
    fn expect(&self, name: &'static str, argument: &serde_json::Value) -> (u64, Arrives<Answered>) {
        let (answer, arrives) = Answer::expected();
        let ack = self.emit(name, argument);
        self.state.borrow_mut().waiting.insert(ack, answer);
        (ack, arrives)
    }

    fn acked(&self, ack: u64, letter: &Letter, stored: &Stored) {
        let (id, user) = (&self.world.cast.chats[letter.chat].id, &self.world.cast.users[self.user]);
        self.world.sim.trace(|| format!("{} is acked {} as {stored:?}", self.name, letter.client_id));
        self.world.promises.acked(&self.world.store, (id, user.as_str(), &letter.body), stored);
        let mut state = self.state.borrow_mut();
        state.view.know(letter.chat, stored.seq);
        if stored.duplicate {
            return;
        }
        // What this connection emitted before was stored before.
        let Entry::Vacant(entry) = state.order.entry((letter.chat, ack)) else { return };
        entry.insert(stored.seq);
        let seqs: Vec<i64> =
            state.order.range((letter.chat, 0)..=(letter.chat, u64::MAX)).map(|(_, seq)| *seq).collect();
        self.world.promises.check(Promise::Ordered, seqs.is_sorted(), || {
            format!("{} emitted in one order what is stored as {seqs:?}", self.name)
        });
    }

    fn any_sent(&self) -> Option<Sent> {
        let sent = self.state.borrow().sent.clone();
        self.world.sim.chance(|rng| rng.choice(sent))
    }
}

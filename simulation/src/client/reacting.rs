//! How the app reacts to messages, and what it sees of others' reactions.

use std::{rc::Rc, time::Duration};

use promises::Promise;
use proto::{Code, client::command};
use serde_json::json;

use super::{
    Client, Reaction,
    heard::{Answered, Heard},
};

const ACK_TIMEOUT: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(500);
const EMOJIS: [&str; 3] = ["👍", "🎉", "❤️"];

impl Client {
    /// Reacts to one of the messages that it has, or takes a reaction back.
    pub(super) fn react(self: &Rc<Self>, chat: usize) {
        let Some(seq) = self.any_known(chat) else { return };
        let (emoji, on) = self.world.sim.chance(|rng| (EMOJIS[rng.usize(0..EMOJIS.len())], rng.u32(0..4) > 0));
        let mut state = self.state.borrow_mut();
        state.reactions += 1;
        let reaction = Reaction { chat, seq, emoji, on, number: state.reactions };
        drop(state);
        self.spawn(async move |client| {
            if let Some((rev, _)) = client.react_until_answered(reaction).await {
                client.state.borrow_mut().reacted.push((reaction, rev));
            }
        });
    }

    /// Repeats a command that was acked before: it is answered the same, whatever has come since.
    pub(super) fn react_again(self: &Rc<Self>) {
        let state = self.state.borrow();
        if state.reacted.is_empty() {
            return;
        }
        let (reaction, rev) = state.reacted[self.world.sim.chance(|rng| rng.usize(0..state.reacted.len()))];
        drop(state);
        self.spawn(async move |client| {
            if let Some(again) = client.react_until_answered(reaction).await {
                client.check(Promise::Changes, again == (rev, true), || {
                    format!("was acked rev {rev} for {reaction:?}, and its repeat {again:?}")
                });
            }
        });
    }

    /// The rev, and whether it was a repeat; `None` when it is refused for good.
    async fn react_until_answered(&self, reaction: Reaction) -> Option<(i64, bool)> {
        let Reaction { chat, seq, emoji, on, number } = reaction;
        let client_id = format!("reaction-{}-{number}", self.slot);
        let argument =
            json!({ "matchId": self.id_of(chat), "seq": seq, "emoji": emoji, "on": on, "clientId": client_id });
        loop {
            let (ack, answer) = self.expect(command::REACT, &argument);
            let answer = self.world.sim.timeout(ACK_TIMEOUT, answer.pop()).await.flatten();
            self.state.borrow_mut().waiting.remove(&ack);
            match answer {
                Some(Answered::Changed { rev, duplicate }) => return Some((rev, duplicate)),
                Some(Answered::Failed { code, retry_after_ms }) if code.is_retryable() => {
                    self.world.sim.sleep(retry_after_ms.map_or(RETRY, Duration::from_millis)).await;
                }
                Some(Answered::Failed { code: Code::MatchClosed, .. }) => return None,
                Some(Answered::Failed { code: Code::MatchNotFound, .. }) if self.is_guest(chat) => return None,
                Some(other) => {
                    self.check(Promise::Changes, false, || format!("gives {reaction:?} and is answered {other:?}"));
                    return None;
                }
                None => {}
            }
        }
    }

    /// A message was changed: each change is told once, and in order.
    pub(super) fn message_changed(&self, chat: usize, heard: &Heard, cursor: String) {
        let mut state = self.state.borrow_mut();
        state.offset = Some(cursor);
        let last = state.view.told_rev(chat);
        self.check(Promise::Changes, heard.rev > last, || format!("is told {} of {chat} after {last}", heard.rev));
        self.check(Promise::Changes, state.view.joined.contains(&chat), || format!("is told a change of {chat}"));
        state.view.changed(chat, heard.after_seq);
        state.view.tell_rev(chat, heard.rev);
        state.view.show(chat, heard, heard.rev);
    }

    /// What is shown of the messages of the chats that it has joined is what is stored.
    pub(super) fn first_stale(&self) -> Option<String> {
        let state = self.state.borrow();
        let shown = state.view.shown().filter(|((chat, _), _)| state.view.joined.contains(chat));
        let mut differing = shown.filter_map(|(&(chat, seq), shown)| {
            let stored = self.world.store.reactions(&self.world.cast.chats[chat].id, seq);
            (*shown != stored).then(|| format!("{} shows {shown} at {seq} of {chat} and not {stored}", self.name))
        });
        differing.next()
    }

    fn any_known(&self, chat: usize) -> Option<i64> {
        let last = self.state.borrow().view.complete_to(chat).filter(|last| *last > 0)?;
        Some(self.world.sim.chance(|rng| rng.i64(1..=last)))
    }
}

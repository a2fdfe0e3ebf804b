//! The core's questions to the services.

use std::{rc::Rc, time::Duration};

use chat_service::{
    command::{ChangeMessage, MessageChange, Windows},
    outcome::Refusal,
};
use gateway_core::{
    Answer, Ask, Failure, Snapshot,
    message_command::{MessageAct, MessageCommand, MessageDone},
    tries::{Route, Tries},
};
use proto::{
    Code, MatchId,
    chat::{SendReply, SendRequest},
    partition,
    signaling::{GetCallResponse, get_call_request::Of},
};

use super::{Gateway, User};
use crate::{
    mistake::Mistake,
    network::{Away, Subject},
    store::Store,
};

/// How often a call is made when its replica turns out to be gone.
const TRIES: usize = 3;
/// Longer than any run.
const WINDOWS: Windows = Windows { edit: Duration::from_hours(1), unsend: Duration::from_hours(1) };

impl Gateway {
    /// Asks, and waits for the answer. `None` where the core does without.
    pub(super) async fn answer(&self, user: &User, ask: Ask<()>) -> Option<Answer> {
        let of = |chat: &MatchId| (chat.clone(), user.id.clone());
        Some(match ask {
            Ask::Send { turn, chat, request, .. } => Answer::Sent(turn, self.send(&chat, request).await),
            Ask::Change { turn, chat, command } => Answer::Changed(turn, self.change(user, &chat, &command).await),
            Ask::Open { turn, chat, since } => {
                let found = self.find(|store| store.get_match(chat.clone(), since)).await;
                let snapshot = found.and_then(|response| Snapshot::for_member(response, &user.id));
                Answer::Opened(turn, snapshot.map(|snapshot| (snapshot, None)))
            }
            Ask::Messages { socket, chat, after, limit } => {
                let found = self.find(|store| store.list_messages(of(&chat), after, limit)).await;
                Answer::Messages(socket, chat, found)
            }
            Ask::Changes { socket, chat, after, limit } => {
                let found = self.find(|store| store.list_changes(of(&chat), after, limit)).await;
                Answer::Changes(socket, chat, found)
            }
            Ask::Heads(chats) => Answer::Heads(self.ask(|store| store.heads(chats.clone(), false)).await.ok()?),
            Ask::FindCall(socket, of, Of::OfDevice(device)) => {
                self.world.sim.sleep(self.world.net.delay()).await;
                let is_up = self.world.net.is_up(self.process);
                let found = is_up.then(|| self.world.calls.missed(&device));
                Answer::CallFound(socket, of, found.ok_or_else(Failure::unavailable))
            }
            // There is no signaling here that takes commands.
            Ask::Call(socket, of, ..) => Answer::Called(socket, of, Err(Code::CallNotFound.into())),
            Ask::FindCall(socket, of, _) => Answer::CallFound(socket, of, Ok(GetCallResponse::default())),
            // Receipts are turned off here.
            Ask::Mark { chat, .. } => Answer::Marked(chat, Err(Code::Forbidden.into())),
            // Everybody shares everything, and nobody is seen.
            Ask::Sharing(socket, of, _) => Answer::Sharing(socket, of, Ok(Vec::new())),
            Ask::Receipts(socket, _) => Answer::Receipts(socket, Err(Code::Forbidden.into())),
            Ask::Sync(socket, reply, _) => Answer::Synced(socket, reply, Err(Code::Unavailable.into())),
            Ask::Identify(socket, reply, _) => Answer::Identified(socket, reply, Err(Code::Unauthenticated.into())),
        })
    }

    /// Has a message changed, by a replica that is asked once, as a command may be repeated by its client.
    async fn change(&self, user: &User, chat: &MatchId, command: &MessageCommand) -> Result<MessageDone, Failure> {
        let change = match command.act.clone() {
            MessageAct::Edit(body) => MessageChange::Edit(body),
            MessageAct::React(emoji, on) => MessageChange::React(emoji, on),
            MessageAct::Delete | MessageAct::Hide => MessageChange::Delete,
        };
        let change = ChangeMessage {
            match_id: chat.clone(),
            actor: user.id.clone(),
            seq: command.seq,
            client_id: command.client_id.clone(),
            change,
            windows: WINDOWS,
        };
        let changed = self.replicas.change(change).await.map_err(|Away| Failure::unavailable())?;
        match changed {
            Ok(changed) => Ok(MessageDone { rev: Some(changed.change.rev), duplicate: !changed.is_new }),
            Err(Refusal::MayNot(code)) => Err(proto::chat::Failure { code: code.into(), ..Default::default() }.into()),
            Err(Refusal::NoMatch) => Err(Code::MatchNotFound.into()),
            Err(_) => Err(Failure::unavailable()),
        }
    }

    /// Asks a replica of chat-service, and another one if that is not there.
    pub(super) async fn ask<T, F>(&self, query: impl Fn(Rc<Store>) -> F) -> Result<T, Away>
    where
        T: 'static,
        F: Future<Output = Result<T, Away>> + 'static,
    {
        for _ in 0..TRIES {
            let result = self.replicas.read(&query).await;
            if result.is_ok() {
                return result;
            }
        }
        self.world.sim.sleep(self.world.net.delay()).await;
        Err(Away)
    }

    /// The same for what a stranger does not find.
    async fn find<T, F>(&self, query: impl Fn(Rc<Store>) -> F) -> Result<T, Failure>
    where
        T: 'static,
        F: Future<Output = Result<Option<T>, Away>> + 'static,
    {
        let found = self.ask(query).await.map_err(|Away| Failure::unavailable())?;
        found.ok_or_else(|| Code::MatchNotFound.into())
    }

    async fn send(&self, chat: &MatchId, mut request: SendRequest) -> SendReply {
        let (world, sim) = (&self.world, &self.world.sim);
        let mut tries = Tries::new(request.drafts.len(), sim.instant(), false);
        loop {
            let subject = match tries.route() {
                Route::Owner => Subject::Send(partition::of(chat)),
                Route::Any => Subject::SendAny,
            };
            let now = sim.instant();
            request.deadline_ms = sim.now_ms() + i64::try_from(tries.deadline(now).as_millis()).unwrap_or(i64::MAX);
            match world.net.request((self.process, subject), request.clone(), tries.patience(now)).await {
                Some(reply) => drop(tries.answered(reply)),
                None => tries.unanswered(),
            }
            let Some(pause) = tries.next(sim.instant(), sim.chance(fastrand::Rng::f64)) else { break };
            sim.sleep(pause).await;
            if world.mistake == Some(Mistake::NewIdsOnRetry) {
                request.drafts.iter_mut().for_each(|draft| draft.client_id.push('-'));
            }
        }
        tries.into_reply()
    }
}

//! The core's questions to the services.

use std::rc::Rc;

use gateway_core::{
    Answer, Ask, Failure, Snapshot,
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

impl Gateway {
    /// Asks, and waits for the answer. `None` where the core does without.
    pub(super) async fn answer(&self, user: &User, ask: Ask<()>) -> Option<Answer> {
        let of = |chat: &MatchId| (chat.clone(), user.id.clone());
        Some(match ask {
            Ask::Send { turn, chat, request, .. } => Answer::Sent(turn, self.send(&chat, request).await),
            Ask::Open { turn, chat, since_seq, limit } => {
                let found = self.find(|store| store.get_match(chat.clone(), since_seq, limit)).await;
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
            Ask::Identify(socket, reply, _) => Answer::Identified(socket, reply, Err(Code::Unauthenticated.into())),
        })
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

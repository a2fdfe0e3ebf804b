//! `send_message`; after `gateway/src/chat/sends.rs` and `egress/sending.rs`.

use std::rc::Rc;

use gateway_core::{
    outcomes::outcome_of,
    tries::{Route, Tries},
};
use proto::{
    chat::{self, SendReply, SendRequest},
    partition,
};

use super::socket::Socket;
use crate::{mistake::Mistake, network::Subject, pipe::Answered};

/// A message that waits to be stored.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) ack: u64,
    pub(super) client_id: String,
    pub(super) body: String,
}

pub(super) async fn send_batch(socket: &Rc<Socket>, chat: usize, batch: Vec<Draft>) {
    let drafts = batch.iter().map(|draft| chat::Draft {
        client_id: draft.client_id.clone(),
        body: draft.body.clone(),
        saved_as: None,
    });
    let request = SendRequest {
        match_id: socket.id_of(chat).to_string(),
        sender_id: socket.user().id.to_string(),
        origin: Some(socket.origin),
        by_rest: false,
        drafts: drafts.collect(),
        deadline_ms: 0,
    };
    let reply = ask(socket, chat, request).await;
    for (draft, result) in batch.into_iter().zip(reply.results) {
        socket.ack(
            draft.ack,
            match outcome_of(result) {
                Ok(stored) => Answered::Sent(stored),
                Err(failure) => Answered::Failed { code: failure.code, retry_after_ms: failure.retry_after_ms },
            },
        );
    }
}

async fn ask(socket: &Rc<Socket>, chat: usize, mut request: SendRequest) -> SendReply {
    let world = socket.world();
    let process = socket.gateway().process;
    let mut tries = Tries::new(request.drafts.len(), world.sim.instant(), false);
    loop {
        let subject = match tries.route() {
            Route::Owner => Subject::Send(partition::of(&socket.id_of(chat))),
            Route::Any => Subject::SendAny,
        };
        let now = world.sim.instant();
        request.deadline_ms = world.sim.now_ms() + i64::try_from(tries.deadline(now).as_millis()).unwrap_or(i64::MAX);
        match world.net.request((process, subject), request.clone(), tries.patience(now)).await {
            Some(reply) => drop(tries.answered(reply)),
            None => tries.unanswered(),
        }
        let chance = world.sim.chance(fastrand::Rng::f64);
        let Some(pause) = tries.next(world.sim.instant(), chance) else { break };
        world.sim.sleep(pause).await;
        if world.mistake == Some(Mistake::NewIdsOnRetry) {
            request.drafts.iter_mut().for_each(|draft| draft.client_id.push('-'));
        }
    }
    tries.into_reply()
}

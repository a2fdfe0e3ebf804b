//! `send_message`: one request of a socket to a match is in flight; after `gateway/src/chat/sends.rs` and `egress/sending.rs`.

use std::rc::Rc;

use gateway::{
    chat::{Turn, Turns, Weighted},
    egress::{Route, Tries, outcome_of},
};
use proto::{
    Code,
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

impl Weighted for Draft {
    fn bytes(&self) -> usize {
        self.body.len()
    }
}

/// Takes a message, now or in its turn.
pub(super) fn send(socket: &Rc<Socket>, chat: usize, draft: Draft) {
    if socket.world().mistake == Some(Mistake::NoTurns) {
        socket.sends.borrow_mut().insert(chat, Turns::default());
    }
    let turn = socket.sends.borrow_mut().entry(chat).or_default().take(draft);
    match turn {
        Turn::Now(draft) => {
            let gateway = socket.gateway();
            gateway.world.sim.spawn(gateway.process, send_in_turn(Rc::clone(socket), chat, draft));
        }
        Turn::Waits => {}
        Turn::Full(draft) => socket.fail(draft.ack, Code::RateLimited),
    }
}

async fn send_in_turn(socket: Rc<Socket>, chat: usize, first: Draft) {
    let mut batch = vec![first];
    while !batch.is_empty() {
        send_batch(&socket, chat, batch).await;
        batch = socket.sends.borrow_mut().get_mut(&chat).map(Turns::next_batch).unwrap_or_default();
    }
}

async fn send_batch(socket: &Rc<Socket>, chat: usize, batch: Vec<Draft>) {
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
            Some(reply) => tries.answered(reply),
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

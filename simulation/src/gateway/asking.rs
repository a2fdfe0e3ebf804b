//! The core's questions to the services.

use std::rc::Rc;

use gateway_core::{
    Answer, Ask, Failure, Snapshot,
    tries::{Route, Tries},
};
use proto::{
    Code, MatchId,
    chat::{GetMatchResponse, ListMessagesResponse, SendReply, SendRequest},
    partition,
    signaling::{GetCallResponse, get_call_request::Of},
};

use super::{Gateway, User};
use crate::{
    mistake::Mistake,
    network::{Away, Subject},
    store::{self, EPOCH},
};

/// Asks, and waits for the answer. `None` where the core does without.
pub(super) async fn answer(gateway: &Gateway, user: &User, ask: Ask<()>) -> Option<Answer> {
    Some(match ask {
        Ask::Send { turn, chat, request, .. } => Answer::Sent(turn, send(gateway, &chat, request).await),
        Ask::Open { turn, chat, since_seq, limit } => {
            let found = get_match(gateway, user, &chat, (since_seq, limit)).await;
            Answer::Opened(turn, found.map(|snapshot| (snapshot, None)))
        }
        Ask::Messages { socket, chat, after, limit } => {
            let found = page(gateway, (user, &chat), after, limit).await;
            Answer::Messages(socket, chat, found)
        }
        Ask::Changes { socket, chat, after, limit } => {
            let limit = usize::try_from(limit).unwrap_or_default();
            let of = (chat.clone(), user.id.clone());
            let asked = gateway.ask(|world| Rc::clone(&world.store).changes(of.clone(), after, limit)).await;
            let asked = asked.map_err(|Away| Failure::unavailable());
            Answer::Changes(socket, chat, asked.and_then(|page| page.ok_or(Code::MatchNotFound.into())))
        }
        Ask::Heads(chats) => {
            let heads = gateway.ask(|world| Rc::clone(&world.store).heads(chats.clone(), false)).await;
            Answer::Heads(heads.ok()?)
        }
        Ask::FindCall(socket, of, Of::OfDevice(device)) => {
            let world = &gateway.world;
            world.sim.sleep(world.net.delay()).await;
            let is_up = world.net.is_up(gateway.process);
            let found = is_up.then(|| world.calls.missed(world, &device));
            Answer::CallFound(socket, of, found.ok_or_else(Failure::unavailable))
        }
        // There is no signaling here that takes commands.
        Ask::Call(socket, of, ..) => Answer::Called(socket, of, Err(Code::CallNotFound.into())),
        Ask::FindCall(socket, of, _) => Answer::CallFound(socket, of, Ok(GetCallResponse::default())),
        Ask::Identify(socket, reply, _) => Answer::Identified(socket, reply, Err(Code::Unauthenticated.into())),
    })
}

async fn send(gateway: &Gateway, chat: &MatchId, mut request: SendRequest) -> SendReply {
    let world = &gateway.world;
    let mut tries = Tries::new(request.drafts.len(), world.sim.instant(), false);
    loop {
        let subject = match tries.route() {
            Route::Owner => Subject::Send(partition::of(chat)),
            Route::Any => Subject::SendAny,
        };
        let now = world.sim.instant();
        request.deadline_ms = world.sim.now_ms() + i64::try_from(tries.deadline(now).as_millis()).unwrap_or(i64::MAX);
        match world.net.request((gateway.process, subject), request.clone(), tries.patience(now)).await {
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

async fn get_match(
    gateway: &Gateway,
    user: &User,
    chat: &MatchId,
    (since, limit): (Option<i64>, i32),
) -> Result<Snapshot, Failure> {
    let found = read(gateway, chat, since, limit).await?;
    let of = found.to_match(chat);
    let store::Snapshot { messages, has_more, .. } = found;
    let response = GetMatchResponse {
        r#match: Some(of),
        messages,
        has_more,
        epoch: EPOCH.to_owned(),
        ..GetMatchResponse::default()
    };
    Snapshot::for_member(response, &user.id)
}

async fn page(
    gateway: &Gateway,
    (user, chat): (&User, &MatchId),
    after: i64,
    limit: i32,
) -> Result<ListMessagesResponse, Failure> {
    let found = read(gateway, chat, Some(after), limit).await?;
    if !found.members.iter().any(|member| member == user.id.as_str()) {
        return Err(Code::MatchNotFound.into());
    }
    let last = found.messages.last().map_or(found.last_seq, |last| last.seq);
    let through_seq = Some(if found.has_more { last } else { found.last_seq });
    let store::Snapshot { messages, has_more, rev, .. } = found;
    Ok(ListMessagesResponse { messages, has_more, through_seq, through_rev: Some(rev) })
}

async fn read(gateway: &Gateway, chat: &MatchId, since: Option<i64>, limit: i32) -> Result<store::Snapshot, Failure> {
    let limit = usize::try_from(limit).unwrap_or_default();
    let asked = gateway.ask(|world| Rc::clone(&world.store).get_match(chat.clone(), since, limit)).await;
    Ok(asked.map_err(|Away| Failure::unavailable())?.ok_or(Code::MatchNotFound)?)
}

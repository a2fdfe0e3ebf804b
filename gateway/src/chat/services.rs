//! The core's questions to the services, and their answers. Each is answered whatever happens, so that no turn is kept
//! for ever.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::{FutureExt, future::join_all};
use gateway_core::{
    Answer, Ask, Failure,
    output::{Found, Opened},
};
use proto::{
    Code, MatchId, UserId,
    chat::{SendReply, SendRequest, Sharing, list_messages_request::Position},
    signaling::get_call_request::Of,
};
use tracing::{Instrument, info_span};

use super::{context::Context, identity, presence};
use crate::{
    egress::{Admitted, Since},
    metrics,
};

/// Asks, and waits for the answer. `None` where the core does without.
pub(super) async fn answer(context: &Arc<Context>, user: &UserId, ask: Ask<Admitted>) -> Option<Answer> {
    let services = &context.services;
    Some(match ask {
        Ask::Send { turn, chat, request, tickets } => {
            let span = info_span!("send_message", match_id = %chat, user_id = %user);
            // Without results the outcome of each message is unknown.
            let sent = contained(send(context, &chat, request, tickets).instrument(span)).await;
            Answer::Sent(turn, sent.unwrap_or_default())
        }
        Ask::Change { turn, chat, command } => {
            let span = info_span!("change_message", match_id = %chat, user_id = %user);
            let done = contained(services.change_message((&chat, user), &command).instrument(span)).await;
            Answer::Changed(turn, done.and_then(|done| done))
        }
        Ask::Mark { chat, read, delivered } => {
            let marked = tried(services.mark((&chat, user), read, delivered)).await;
            Answer::Marked(chat, marked)
        }
        Ask::Receipts(socket, chats) => Answer::Receipts(socket, tried(services.receipts(user, chats)).await),
        Ask::Sharing(socket, of, chats) => Answer::Sharing(socket, of, tried(sharing(context, user, chats)).await),
        Ask::Open { turn, chat, since } => {
            let opened = contained(open(context, (&chat, user), since)).await;
            Answer::Opened(turn, opened.and_then(|opened| opened))
        }
        Ask::Messages { socket, chat, after, limit } => {
            let page = contained(services.list_messages((&chat, user), Some(Position::After(after)), (limit, false)));
            let page = page.await.and_then(|page| page).inspect(|page| metrics::gap_healed(page.messages.len()));
            Answer::Messages(socket, chat, page)
        }
        Ask::Changes { socket, chat, after, limit } => {
            let page = contained(services.list_changes((&chat, user), after, limit)).await;
            Answer::Changes(socket, chat, page.and_then(|page| page))
        }
        Ask::Heads(chats) => Answer::Heads(services.heads(chats).await.ok()?),
        Ask::Call(socket, of, chat, request) => {
            let span = info_span!("call", command = request.command.as_ref().map(command_name), user_id = %user);
            let called = contained(services.call(&chat, *request).instrument(span)).await;
            Answer::Called(socket, of, called.and_then(|called| called))
        }
        Ask::FindCall(socket, of, which) => {
            Answer::CallFound(socket, of, contained(services.get_call(which)).await.and_then(|found| found))
        }
        Ask::Sync(socket, reply, request) => {
            let synced = contained(services.sync(user, request)).await;
            Answer::Synced(socket, reply, synced.and_then(|synced| synced))
        }
        Ask::Identify(socket, reply, token) => {
            let identified = contained(identity::identify(context, &token)).await;
            Answer::Identified(socket, reply, identified.and_then(|identified| identified))
        }
    })
}

/// A match, and the user's own call, which is looked for alike whatever is true of the match. Nobody is in two.
async fn open(context: &Arc<Context>, (chat, user): (&MatchId, &UserId), since: Since) -> Opened {
    let services = &context.services;
    let call = services.get_call(Of::UserId(user.to_string()));
    let (snapshot, call) = tokio::join!(services.get_match(chat, user, since), call);
    let mut snapshot = snapshot?;
    snapshot.online = online(context, &snapshot.sharing).await;
    Ok((snapshot, call.ok().and_then(|found| found.call)))
}

/// What a user shows and sees in these matches.
async fn sharing(context: &Arc<Context>, user: &UserId, chats: Vec<String>) -> Result<Vec<Found>, Failure> {
    let sharings = context.services.sharing(user, chats).await?.sharings;
    let found = sharings.into_iter().map(async |sharing| {
        let online = online(context, &sharing).await;
        Found { sharing, online }
    });
    Ok(join_all(found).await)
}

/// Whether the other member is online, if the user may see it.
async fn online(context: &Arc<Context>, sharing: &Sharing) -> Option<bool> {
    let other = UserId::new(sharing.presence.as_ref()?.user_id.as_str()).ok()?;
    presence::look(context, &other).await
}

/// Has messages to one match stored, and learns from the answers how many may be open.
async fn send(context: &Context, chat: &MatchId, request: SendRequest, tickets: Vec<Admitted>) -> SendReply {
    let reply = context.services.send(chat, request).await;
    for (admitted, result) in tickets.into_iter().zip(&reply.results) {
        admitted.note(result);
    }
    reply
}

/// What work comes to; `INTERNAL` if it panics, which was logged where it happened.
async fn contained<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|_| Code::Internal.into())
}

/// The same of work that may fail by itself.
async fn tried<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    contained(work).await.and_then(|done| done)
}

/// A call command for traces, by the name of the client's event.
fn command_name(command: &proto::signaling::call_request::Command) -> &'static str {
    use proto::{
        client::{both, command},
        signaling::call_request::Command,
    };
    match command {
        Command::Ring(_) => command::VIDEO_CALL_REQUEST,
        Command::Accept(_) => both::VIDEO_CALL_ACCEPTED,
        Command::Reject(_) => both::VIDEO_CALL_REJECTED,
        Command::End(_) => both::VIDEO_CALL_ENDED,
        Command::Signal(_) => command::VIDEO_CALL_SIGNAL,
        Command::Renew(_) => "renew",
        Command::TakeOver(_) => "take_over",
    }
}

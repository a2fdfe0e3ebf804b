//! `join_chat` and `leave_chat`: which chats a socket has open.

use std::{sync::Arc, time::Instant};

use proto::{
    Code, MatchId, UserId,
    chat::Match,
    client::event,
    signaling::{Call, get_call_request::Of},
};
use serde::Deserialize;

use super::{
    Context, Socket, commands, delivery,
    feed::recoverable,
    joined::Joined,
    order::{self, Command},
    reply::Reply,
    session::Session,
    turns::RETRY_AFTER,
    typing_commands,
};
use crate::{
    egress::Snapshot,
    failure::Failure,
    socketio::{Args, Packet},
    views,
};

/// Most messages in the ack of a join.
const PAGE: i32 = 200;

/// How a chat is to be opened.
#[derive(Debug)]
pub(crate) struct Join {
    since_seq: Option<i64>,
    pub(super) keep_others: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum JoinArgument {
    Id(String),
    #[serde(rename_all = "camelCase")]
    Object {
        match_id: String,
        since_seq: Option<i64>,
        #[serde(default)]
        keep_others: Option<bool>,
    },
}

/// Handles a `join_chat`.
pub(super) fn join(context: &Arc<Context>, socket: &Arc<Socket>, args: Args<'_>, reply: Reply) {
    let (chat, join) = match read_join(args) {
        Ok(read) => read,
        Err(failure) => return reply.fail(&failure),
    };
    let (user, now) = (socket.user_id().as_str(), Instant::now());
    if let Err(wait) = context.limits.joins.take(user, now).and_then(|()| context.limits.may_read(user, now)) {
        return reply.fail(&Failure::rate_limited(wait));
    }
    order::take(context, socket, chat, Command::Join(join, reply));
}

fn read_join(args: Args<'_>) -> Result<(MatchId, Join), Failure> {
    let (id, since_seq, keep_others) = match commands::argument(args)? {
        JoinArgument::Id(id) => (id, None, None),
        JoinArgument::Object { match_id, since_seq, keep_others } => (match_id, since_seq, keep_others),
    };
    if since_seq.is_some_and(|seq| seq < 0) {
        return Err(Failure::invalid());
    }
    Ok((commands::match_id(id)?, Join { since_seq, keep_others: keep_others.unwrap_or(false) }))
}

/// Handles a `leave_chat`.
pub(super) fn leave(context: &Arc<Context>, socket: &Arc<Socket>, args: Args<'_>, reply: Reply) {
    match commands::match_argument(args) {
        Ok(chat) => order::take(context, socket, chat, Command::Leave(reply)),
        Err(failure) => reply.fail(&failure),
    }
}

/// Opens a chat, and leaves the others unless they are kept.
pub(super) async fn run_join(
    context: &Arc<Context>,
    socket: &Arc<Socket>,
    chat: &MatchId,
    (join, reply): (Join, Reply),
) {
    if !socket.session().begin_join(chat, join.keep_others) {
        return reply.fail(&Failure::rate_limited(RETRY_AFTER));
    }
    let snapshot = snapshot(context, socket.user_id(), chat, &join).await;
    let mut session = socket.session();
    let (snapshot, call) = match snapshot {
        Ok(found) => found,
        Err(failure) => {
            delivery::join_failed(context, socket, &mut session, chat);
            return reply.fail(&failure);
        }
    };
    // The match may have been closed since: then nothing else is left for it.
    let Some(joined) = session.chat(chat) else {
        return reply.fail(&Code::MatchClosed.into());
    };
    joined.other = other_member(&snapshot.of, socket.user_id());
    let due = joined.room.opened(snapshot.of.last_seq, snapshot.of.rev);
    let mut events = if join.keep_others { Vec::new() } else { leave_others(context, socket, &mut session, chat) };
    let joined = Joined { snapshot: &snapshot, fields: context.message_fields, call: call.as_ref() };
    let cursor = session.cursor_joined(socket.tag(), chat, &due);
    events.push(recoverable(event::CHAT_JOINED, &joined.event(), &cursor));
    let ack = joined.ack();
    context.limits.has_read(socket.user_id().as_str(), ack.len(), Instant::now());
    reply.ok_and(&ack, events);
    delivery::give(context, socket, &mut session, chat, due);
}

/// Leaves the chats that are not to be kept. Returns what the socket is told of them.
fn leave_others(context: &Arc<Context>, socket: &Socket, session: &mut Session, chat: &MatchId) -> Vec<Packet> {
    let mut left = session.leave_others(chat);
    for chat in &mut left {
        typing_commands::stop(context, socket.user_id(), chat);
    }
    left.iter().filter_map(delivery::silence).collect()
}

async fn snapshot(
    context: &Context,
    user: &UserId,
    chat: &MatchId,
    join: &Join,
) -> Result<(Snapshot, Option<Call>), Failure> {
    // The user's own call, which is looked for alike whatever is true of the match. Nobody is in two.
    let (snapshot, call) = tokio::join!(
        context.services.get_match(chat, user, join.since_seq, PAGE),
        context.services.get_call(Of::UserId(user.to_string()))
    );
    let snapshot = snapshot?;
    if snapshot.of.closed_at_ms.is_some() {
        return Err(Code::MatchClosed.into());
    }
    // A chat opens without its call when signaling is away: the call's own events follow.
    let call = call.ok().flatten().filter(|call| call.match_id == chat.as_str());
    Ok((snapshot, call))
}

fn other_member(of: &Match, user: &UserId) -> Option<UserId> {
    let other = of.members.iter().find(|member| *member != user.as_str())?;
    UserId::new(other.as_str()).ok()
}

/// Closes a chat.
pub(super) fn run_leave(context: &Arc<Context>, socket: &Socket, chat: &MatchId, reply: Reply) {
    let mut session = socket.session();
    let Some(mut left) = session.leave(chat) else {
        let code = if session.is_closed(chat) { Code::MatchClosed } else { Code::NotJoined };
        return reply.fail(&code.into());
    };
    typing_commands::stop(context, socket.user_id(), &mut left);
    let mut events = Vec::from_iter(delivery::silence(&left));
    let left = views::to_json(&serde_json::json!({ "matchId": chat.as_str() }));
    events.push(recoverable(event::CHAT_LEFT, &left, &session.cursor(socket.tag(), None)));
    reply.ok_and("{\"ok\":true}", events);
}

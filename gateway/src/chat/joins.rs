//! `join_chat`, `leave_chat` and `typing`: they depend on one another, so that one socket's are done in their order.

use std::{sync::Arc, time::Instant};

use futures_util::FutureExt;
use proto::{
    Code, MatchId, UserId,
    chat::Match,
    client::event,
    inbox::{InboxEvent, TypingChanged, inbox_event},
    signaling::{Call, get_call_request::Of},
};
use serde::Deserialize;

use super::{
    Context, Socket, commands, delivery,
    feed::recoverable,
    joined::Joined,
    reply::Reply,
    session::JoinedChat,
    turns::{RETRY_AFTER, Turn, Weighted},
};
use crate::{egress::Snapshot, failure::Failure, socketio::Args, views};

/// Most messages in the ack of a join.
const PAGE: i32 = 200;

/// A command that depends on which chats are open.
#[derive(Debug)]
pub(crate) enum ChatCommand {
    Join(Join, Reply),
    Leave(MatchId, Reply),
    Typing { chat: MatchId, is_typing: bool, reply: Reply },
}

#[derive(Debug)]
pub(crate) struct Join {
    chat: MatchId,
    since_seq: Option<i64>,
    keep_others: bool,
}

impl Weighted for ChatCommand {
    fn bytes(&self) -> usize {
        0
    }
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

#[derive(Deserialize)]
#[serde(untagged)]
enum TypingArgument {
    Id(String),
    #[serde(rename_all = "camelCase")]
    Object {
        match_id: String,
        is_typing: bool,
    },
}

/// Handles a `join_chat`.
pub(super) fn join(context: &Arc<Context>, socket: &Arc<Socket>, args: Args<'_>, reply: Reply) {
    let join = match read_join(args) {
        Ok(join) => join,
        Err(failure) => return reply.fail(&failure),
    };
    if let Err(wait) = socket.session().limits.joins.take(context.rates.joins, Instant::now()) {
        return reply.fail(&Failure::rate_limited(wait));
    }
    take(context, socket, ChatCommand::Join(join, reply));
}

fn read_join(args: Args<'_>) -> Result<Join, Failure> {
    let (id, since_seq, keep_others) = match commands::argument(args)? {
        JoinArgument::Id(id) => (id, None, None),
        JoinArgument::Object { match_id, since_seq, keep_others } => (match_id, since_seq, keep_others),
    };
    if since_seq.is_some_and(|seq| seq < 0) {
        return Err(Failure::invalid());
    }
    Ok(Join { chat: commands::match_id(id)?, since_seq, keep_others: keep_others.unwrap_or(false) })
}

/// Handles a `leave_chat`.
pub(super) fn leave(context: &Arc<Context>, socket: &Arc<Socket>, args: Args<'_>, reply: Reply) {
    match commands::match_argument(args) {
        Ok(chat) => take(context, socket, ChatCommand::Leave(chat, reply)),
        Err(failure) => reply.fail(&failure),
    }
}

/// Handles a `typing`.
pub(super) fn typing(context: &Arc<Context>, socket: &Arc<Socket>, args: Args<'_>, reply: Reply) {
    match read_typing(args) {
        Ok((chat, is_typing)) => take(context, socket, ChatCommand::Typing { chat, is_typing, reply }),
        Err(failure) => reply.fail(&failure),
    }
}

fn read_typing(args: Args<'_>) -> Result<(MatchId, bool), Failure> {
    let (id, is_typing) = match commands::argument(args)? {
        TypingArgument::Id(id) => (id, true),
        TypingArgument::Object { match_id, is_typing } => (match_id, is_typing),
    };
    Ok((commands::match_id(id)?, is_typing))
}

fn take(context: &Arc<Context>, socket: &Arc<Socket>, command: ChatCommand) {
    let turn = socket.session().chat_commands.take(command);
    match turn {
        Turn::Now(ChatCommand::Join(join, reply)) => {
            let commands = run_in_turn(Arc::clone(context), Arc::clone(socket), join, reply);
            context.lifecycle.spawn(commands);
        }
        Turn::Now(command) => {
            run_at_once(context, socket, command);
            // Events of one socket are handled one after the other: nothing can have come to wait meanwhile.
            socket.session().chat_commands.next_batch();
        }
        Turn::Waits => {}
        Turn::Full(ChatCommand::Join(_, reply) | ChatCommand::Leave(_, reply) | ChatCommand::Typing { reply, .. }) => {
            reply.fail(&Failure::rate_limited(RETRY_AFTER));
        }
    }
}

async fn run_in_turn(context: Arc<Context>, socket: Arc<Socket>, join: Join, reply: Reply) {
    let mut batch = vec![ChatCommand::Join(join, reply)];
    while !batch.is_empty() {
        for command in batch {
            match command {
                ChatCommand::Join(join, reply) => run_join(&context, &socket, join, reply).await,
                command => run_at_once(&context, &socket, command),
            }
        }
        batch = socket.session().chat_commands.next_batch();
    }
}

fn run_at_once(context: &Context, socket: &Socket, command: ChatCommand) {
    match command {
        ChatCommand::Leave(chat, reply) => run_leave(context, socket, &chat, reply),
        ChatCommand::Typing { chat, is_typing, reply } => run_typing(context, socket, &chat, (is_typing, reply)),
        ChatCommand::Join(..) => {}
    }
}

async fn run_join(context: &Arc<Context>, socket: &Arc<Socket>, join: Join, reply: Reply) {
    if !socket.session().begin_join(&join.chat, join.keep_others) {
        return reply.fail(&Failure::rate_limited(RETRY_AFTER));
    }
    let snapshot = snapshot(context, socket.user_id(), &join).await;
    let mut session = socket.session();
    let (snapshot, call) = match snapshot {
        Ok(found) => found,
        Err(failure) => {
            delivery::join_failed(context, socket, &mut session, &join.chat);
            return reply.fail(&failure);
        }
    };
    // The match may have been closed since: then nothing else is left for it.
    let Some(chat) = session.chat(&join.chat) else {
        return reply.fail(&Code::MatchClosed.into());
    };
    chat.other = other_member(&snapshot.of, socket.user_id());
    let milestones = snapshot.of.milestones.iter().map(|milestone| i64::from(milestone.ord)).max().unwrap_or(0);
    let due = chat.room.opened(snapshot.of.last_seq, milestones);
    let left = if join.keep_others { Vec::new() } else { session.leave_others(&join.chat) };
    for chat in &left {
        stop_typing(context, socket.user_id(), chat);
    }
    let joined = Joined { snapshot: &snapshot, fields: context.message_fields, call: call.as_ref() };
    let event =
        recoverable(event::CHAT_JOINED, &joined.event(), &session.cursor_joined(socket.pid.tag(), &join.chat, &due));
    reply.ok_and(&joined.ack(), &[event]);
    delivery::give(context, socket, &mut session, &join.chat, due);
}

async fn snapshot(context: &Context, user: &UserId, join: &Join) -> Result<(Snapshot, Option<Call>), Failure> {
    // The user's own call, which is looked for alike whatever is true of the match. Nobody is in two.
    let (snapshot, call) = tokio::join!(
        context.services.get_match(&join.chat, user, join.since_seq, PAGE),
        context.services.get_call(Of::UserId(user.to_string()))
    );
    let snapshot = snapshot?;
    if snapshot.of.closed_at_ms.is_some() {
        return Err(Code::MatchClosed.into());
    }
    // A chat opens without its call when signaling is away: the call's own events follow.
    let call = call.ok().flatten().filter(|call| call.match_id == join.chat.as_str());
    Ok((snapshot, call))
}

fn other_member(of: &Match, user: &UserId) -> Option<UserId> {
    let other = of.members.iter().find(|member| *member != user.as_str())?;
    UserId::new(other.as_str()).ok()
}

fn run_leave(context: &Context, socket: &Socket, chat: &MatchId, reply: Reply) {
    let mut session = socket.session();
    let Some(left) = session.leave(chat) else {
        let code = if session.is_closed(chat) { Code::MatchClosed } else { Code::NotJoined };
        return reply.fail(&code.into());
    };
    stop_typing(context, socket.user_id(), &left);
    let left = views::to_json(&serde_json::json!({ "matchId": chat.as_str() }));
    let left = recoverable(event::CHAT_LEFT, &left, &session.cursor(socket.pid.tag(), None));
    reply.ok_and("{\"ok\":true}", &[left]);
}

fn run_typing(context: &Context, socket: &Socket, id: &MatchId, (is_typing, reply): (bool, Reply)) {
    let mut session = socket.session();
    let closed = session.is_closed(id);
    let Some(chat) = session.open_chat(id) else {
        let code = if closed { Code::MatchClosed } else { Code::NotJoined };
        return reply.fail(&code.into());
    };
    if is_typing && let Err(wait) = context.limits.typing.take(socket.user_id().as_str(), Instant::now()) {
        return reply.fail(&Failure::rate_limited(wait));
    }
    chat.typing = is_typing;
    tell_typing(context, socket.user_id(), chat, is_typing);
    reply.ok("{\"ok\":true}");
}

/// Tells the other member that this user has stopped, if it was told that the user types.
pub(super) fn stop_typing(context: &Context, user: &UserId, chat: &JoinedChat) {
    if chat.typing {
        tell_typing(context, user, chat, false);
    }
}

fn tell_typing(context: &Context, user: &UserId, chat: &JoinedChat, is_typing: bool) {
    let Some(other) = &chat.other else { return };
    let changed = TypingChanged { match_id: chat.id.as_str().to_owned(), user_id: user.as_str().to_owned(), is_typing };
    let event = InboxEvent { event: Some(inbox_event::Event::TypingChanged(changed)) };
    let bus = &context.services.bus;
    // Typing is worth no wait: a publish that finds no room at once is dropped, and the receiver's own expiry heals it.
    let _ = bus.publish(&bus.subjects().inbox(other), &event).now_or_never();
}

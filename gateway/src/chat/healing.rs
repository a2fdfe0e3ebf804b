//! Fetching what a socket missed: NATS delivers at most once, PostgreSQL has everything.

use std::{sync::Arc, time::Duration};

use proto::{
    MatchId,
    chat::{MatchHead, Message, list_messages_request::Position},
};

use super::{
    Context, Socket, delivery,
    feed::{Announced, Posted},
    room::Due,
    session::JoinedChat,
};
use crate::{metrics, socketio::Emitter};

/// A message that overtook another waits this long for it before the gap is fetched.
const HOLD: Duration = Duration::from_millis(200);
/// Messages fetched at once.
const PAGE: i32 = 100;
/// The next page is fetched when this much or less waits to be sent to the client: half of what a page may fill.
const DRAINED_BYTES: usize = 64 * 1024;
const DRAINED_PACKETS: usize = 50;
/// How often a queue is looked at. A client that does not read at all is cut off by the write deadline.
const DRAIN_CHECK: Duration = Duration::from_millis(20);
/// A fetch that keeps failing is left to the next comparison of heads.
const MAX_TRIES: u32 = 5;

/// Fetches what the socket misses of a chat, unless that is under way.
pub(super) fn heal_if_behind(context: &Arc<Context>, socket: &Arc<Socket>, chat: &mut JoinedChat) {
    if chat.room.is_behind() && !chat.healing {
        chat.healing = true;
        let heal = heal(Arc::clone(context), Arc::clone(socket), chat.id.clone());
        context.lifecycle.spawn(heal);
    }
}

async fn heal(context: Arc<Context>, socket: Arc<Socket>, chat: MatchId) {
    let mut failures = 0;
    if !is_pulling(&socket, &chat) {
        tokio::time::sleep(HOLD).await;
    }
    while let Some(cursor) = cursor_if_behind(&socket, &chat) {
        drained(&socket).await;
        match context.services.list_messages(&chat, Some(Position::After(cursor)), PAGE).await {
            Ok(page) if !page.messages.is_empty() => backfill(&context, &socket, &chat, page.messages),
            Err(_) if failures < MAX_TRIES => {
                failures += 1;
                tokio::time::sleep(HOLD * 2_u32.pow(failures)).await;
            }
            // PostgreSQL has no more, or cannot be asked now.
            _ => break,
        }
    }
    if let Some(chat) = socket.session().chat(&chat) {
        chat.healing = false;
    }
}

fn is_pulling(socket: &Socket, chat: &MatchId) -> bool {
    socket.session().chat(chat).is_some_and(|chat| chat.room.is_pulling())
}

/// Waits until the client has read most of what it was sent, or is gone.
async fn drained(socket: &Socket) {
    let waits =
        |emitter: &Emitter| emitter.queued_bytes() > DRAINED_BYTES || emitter.queued_packets() > DRAINED_PACKETS;
    while !socket.emitter.is_closed() && waits(&socket.emitter) {
        tokio::time::sleep(DRAIN_CHECK).await;
    }
}

fn cursor_if_behind(socket: &Socket, chat: &MatchId) -> Option<i64> {
    if socket.emitter.is_closed() {
        return None;
    }
    socket.session().chat(chat).filter(|chat| chat.room.is_behind()).map(|chat| chat.room.cursor())
}

fn backfill(context: &Arc<Context>, socket: &Arc<Socket>, id: &MatchId, messages: Vec<Message>) {
    let mut session = socket.session();
    let Some(chat) = session.chat(id) else { return };
    metrics::gap_healed(messages.len());
    let posts = messages.into_iter().filter_map(Posted::new);
    let messages = posts.flat_map(|posted| chat.room.fill(posted)).collect();
    delivery::give(context, socket, &mut session, id, &Due { messages, milestones: Vec::new() });
}

/// Compares a chat's true head with what the socket has, and fetches the difference.
pub(super) async fn compare(context: &Arc<Context>, socket: &Arc<Socket>, head: &MatchHead, chat: &MatchId) {
    if head.closed {
        return delivery::close(socket, chat);
    }
    let told = {
        let mut session = socket.session();
        let Some(joined) = session.open_chat(chat) else { return };
        joined.room.learn_head(head.last_seq);
        heal_if_behind(context, socket, joined);
        joined.room.milestones()
    };
    if i64::from(head.milestones) > told {
        tell_milestones(context, socket, chat).await;
    }
}

/// Tells a socket of the milestones of a chat that it was not told of.
pub(super) async fn tell_milestones(context: &Context, socket: &Socket, chat: &MatchId) {
    let Ok(found) = context.services.get_match(chat, socket.user_id(), None, 0).await else { return };
    for milestone in found.of.milestones {
        delivery::announce(socket, &Arc::new(Announced { chat: chat.clone(), milestone }), false);
    }
}

//! What a socket is given of what its user hears: once, in order, and nothing of its own.

use std::sync::Arc;

use proto::{MatchId, client::event};

use super::{
    Context, Socket,
    feed::{Announced, Posted},
    healing,
    room::Due,
    session::Session,
};
use crate::{metrics, socketio::Packet, views};

/// Gives a socket messages of one chat that were just stored.
pub(super) fn post(context: &Arc<Context>, socket: &Arc<Socket>, posts: &[Arc<Posted>]) {
    let Some(chat) = posts.first().map(|posted| &posted.chat) else { return };
    let mut session = socket.session();
    let Some(joined) = session.chat(chat) else {
        drop(session);
        return send(socket, posts.iter().filter(|posted| !is_own(socket, posted)).map(|posted| posted.inbox_packet()));
    };
    let due: Vec<_> = posts.iter().flat_map(|posted| joined.room.post(Arc::clone(posted))).collect();
    emit_messages(socket, &due);
    healing::heal_if_behind(context, socket, joined);
}

/// Gives a socket what is due after a join or a backfill.
pub(super) fn give(
    context: &Arc<Context>,
    socket: &Arc<Socket>,
    session: &mut Session,
    chat: &MatchId,
    due: &Due<Arc<Posted>, Arc<Announced>>,
) {
    emit_messages(socket, &due.messages);
    send(socket, due.milestones.iter().map(|milestone| milestone.packet()));
    if let Some(joined) = session.chat(chat) {
        healing::heal_if_behind(context, socket, joined);
    }
}

/// A join has failed: a chat that had been open before goes on, another is dropped.
pub(super) fn join_failed(context: &Arc<Context>, socket: &Arc<Socket>, session: &mut Session, chat: &MatchId) {
    match session.chat(chat).map(|joined| joined.room.join_failed()) {
        Some(Some(due)) => give(context, socket, session, chat, &due),
        Some(None) => drop(session.leave(chat)),
        None => {}
    }
}

/// Tells a socket of a milestone; `is_news` says whether the user's other devices were told before.
pub(super) fn announce(socket: &Socket, announced: &Arc<Announced>, is_news: bool) {
    let mut session = socket.session();
    let due = match session.chat(&announced.chat) {
        Some(joined) => joined.room.announce(Arc::clone(announced)),
        None => is_news.then(|| Arc::clone(announced)),
    };
    send(socket, due.iter().map(|milestone| milestone.packet()));
}

/// Drops a closed match's chat and says so, once.
pub(super) fn close(socket: &Socket, chat: &MatchId) {
    let mut session = socket.session();
    if session.close(chat) {
        let closed = views::to_json(&serde_json::json!({ "matchId": chat.as_str() }));
        send(socket, [Packet::event(event::MATCH_CLOSED, &closed)]);
    }
}

/// Whether the socket sent the message itself, and so has its ack.
fn is_own(socket: &Socket, posted: &Posted) -> bool {
    posted.sender == *socket.user_id() && posted.message.origin == Some(socket.origin)
}

fn emit_messages(socket: &Socket, due: &[Arc<Posted>]) {
    send(socket, due.iter().filter(|posted| !is_own(socket, posted)).map(|posted| packet_for(socket, posted)));
}

/// A message that the user saved by REST without naming a socket is shown to the user's own sockets as an update only.
fn packet_for(socket: &Socket, posted: &Posted) -> Packet {
    if posted.sender == *socket.user_id() && posted.message.origin.is_none() {
        return posted.inbox_packet();
    }
    metrics::delivered(posted.message.created_at_ms);
    posted.packet().clone()
}

fn send(socket: &Socket, packets: impl IntoIterator<Item = Packet>) {
    let packets: Vec<Packet> = packets.into_iter().collect();
    if !packets.is_empty() {
        // A socket that is gone, or closed for reading too slowly, fetches what it missed when it joins again.
        let _ = socket.emitter.send_all(&packets);
    }
}

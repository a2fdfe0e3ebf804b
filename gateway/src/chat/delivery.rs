//! Sends a socket what it is given, and has fetched what it misses.

use std::sync::Arc;

use proto::{MatchId, client::event};

use super::{
    Context, Socket,
    feed::{Announced, Posted, recoverable},
    given::Given,
    healing,
    room::Due,
    session::Session,
};
use crate::{metrics, socketio::Packet, views};

/// Gives a socket messages of one chat that were just stored.
pub(super) fn post(context: &Arc<Context>, socket: &Arc<Socket>, posts: &[Arc<Posted>]) {
    let Some(chat) = posts.first().map(|posted| &posted.chat) else { return };
    let mut session = socket.session();
    match session.take_posts(posts) {
        Some(due) => give(context, socket, &mut session, chat, due),
        None => send(socket, socket.viewer().updates(posts).map(packet)),
    }
}

/// Gives a socket what is due after a join or a backfill.
pub(super) fn give(
    context: &Arc<Context>,
    socket: &Arc<Socket>,
    session: &mut Session,
    chat: &MatchId,
    due: Due<Arc<Posted>, Arc<Announced>>,
) {
    let Some(joined) = session.chat(chat) else { return };
    healing::heal_if_behind(context, socket, joined);
    send(socket, session.given(socket.viewer(), chat, due).map(packet));
}

/// A join has failed: a chat that had been open before goes on, another is dropped.
pub(super) fn join_failed(context: &Arc<Context>, socket: &Arc<Socket>, session: &mut Session, chat: &MatchId) {
    match session.chat(chat).map(|joined| joined.room.join_failed()) {
        Some(Some(due)) => give(context, socket, session, chat, due),
        Some(None) => drop(session.leave(chat)),
        None => {}
    }
}

/// Tells a socket of a milestone; `to_all` also one that has not joined the chat.
pub(super) fn announce(socket: &Socket, announced: &Arc<Announced>, to_all: bool) {
    let mut session = socket.session();
    send(socket, session.take_milestone(socket.tag(), announced, to_all).map(packet));
}

/// Drops a closed match's chat and says so, once.
pub(super) fn close(socket: &Socket, chat: &MatchId) {
    let mut session = socket.session();
    if session.close(chat) {
        let closed = views::to_json(&serde_json::json!({ "matchId": chat.as_str() }));
        send(socket, [recoverable(event::MATCH_CLOSED, &closed, &session.cursor(socket.tag(), None))]);
    }
}

fn packet(given: Given) -> Packet {
    match given {
        Given::Message(posted, cursor) => {
            metrics::delivered(posted.message.created_at_ms);
            posted.packet(&cursor)
        }
        Given::Update(posted) => posted.inbox_packet(),
        Given::Milestone(announced, cursor) => announced.packet(&cursor),
        Given::Notice(announced) => announced.notice(),
    }
}

fn send(socket: &Socket, packets: impl IntoIterator<Item = Packet>) {
    let packets: Vec<Packet> = packets.into_iter().collect();
    if !packets.is_empty() {
        // A socket that is gone, or closed for reading too slowly, fetches what it missed when it joins again.
        let _ = socket.emitter.send_all(&packets);
    }
}

//! Sends a socket what it is given, and has fetched what it misses.

use std::sync::Arc;

use proto::{MatchId, UserId, client::event};

use super::{
    Context, Socket,
    feed::{self, Announced, Posted, recoverable},
    given::Given,
    healing,
    room::Due,
    session::{JoinedChat, Session},
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
    let silence = session.open_chat(chat).and_then(|joined| silence(joined));
    if session.close(chat) {
        let closed = views::to_json(&serde_json::json!({ "matchId": chat.as_str() }));
        let closed = recoverable(event::MATCH_CLOSED, &closed, &session.cursor(socket.tag(), None));
        send(socket, silence.into_iter().chain([closed]));
    }
}

/// Tells a socket that somebody in a chat that it has open types, or has stopped.
pub(super) fn show_typing(socket: &Socket, chat: &MatchId, is_typing: bool, packet: &Packet) {
    let mut session = socket.session();
    if let Some(joined) = session.open_chat(chat) {
        joined.shown = is_typing;
        send(socket, [packet.clone()]);
    }
}

/// What a socket is told before it is told that it has left a chat: the other member, if shown as typing, is no more. It would
/// hear nothing of that afterwards.
pub(super) fn silence(left: &JoinedChat) -> Option<Packet> {
    left.other.as_ref().filter(|_| left.shown).map(|other| user_typing(&left.id, other, false))
}

/// Tells a recovered socket that nobody types, as nobody knows what the earlier one was told. To be called before it hears anything.
pub(super) fn silence_all(socket: &Socket) {
    let session = socket.session();
    let others = session.open_chats().filter_map(|chat| Some((&chat.id, chat.other.as_ref()?)));
    send(socket, others.map(|(chat, other)| user_typing(chat, other, false)));
}

/// The `user_typing` event.
pub(super) fn user_typing(chat: &MatchId, typist: &UserId, is_typing: bool) -> Packet {
    let shown = serde_json::json!({ "matchId": chat.as_str(), "userId": typist.as_str(), "isTyping": is_typing });
    Packet::event(event::USER_TYPING, &views::to_json(&shown))
}

fn packet(given: Given) -> Packet {
    match given {
        Given::Message(posted, cursor) => {
            metrics::delivered(posted.message.created_at_ms);
            feed::message(&posted, &cursor)
        }
        Given::Update(posted) => feed::update(&posted),
        Given::Milestone(announced, cursor) => feed::milestone(&announced, &cursor),
        Given::Notice(announced) => feed::milestone(&announced, ""),
    }
}

fn send(socket: &Socket, packets: impl IntoIterator<Item = Packet>) {
    let packets: Vec<Packet> = packets.into_iter().collect();
    if !packets.is_empty() {
        // A socket that is gone, or closed for reading too slowly, fetches what it missed when it joins again.
        let _ = socket.emitter.send_all(&packets);
    }
}

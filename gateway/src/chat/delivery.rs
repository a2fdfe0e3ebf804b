//! What a socket is given of what its user hears: once, in order, and nothing of its own.

use std::sync::Arc;

use proto::{MatchId, client::event};

use super::{
    Context, Socket,
    cursor::Position,
    feed::{Announced, Posted, recoverable},
    healing,
    room::{Due, Sequenced},
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
    let messages = posts.iter().flat_map(|posted| joined.room.post(Arc::clone(posted))).collect();
    give(context, socket, &mut session, chat, &Due { messages, milestones: Vec::new() });
}

/// Gives a socket what is due after a join or a backfill.
pub(super) fn give(
    context: &Arc<Context>,
    socket: &Arc<Socket>,
    session: &mut Session,
    chat: &MatchId,
    due: &Due<Arc<Posted>, Arc<Announced>>,
) {
    let Some(joined) = session.chat(chat) else { return };
    healing::heal_if_behind(context, socket, joined);
    // Due milestones are told after the messages: until then those below the first one count as told.
    let told = due.milestones.first().map_or(joined.room.milestones(), |first| first.seq() - 1);
    let head = joined.room.cursor();
    let messages = due.messages.iter().filter(|posted| !is_own(socket, posted)).map(|posted| {
        let at = Position { chat: chat.clone(), seq: posted.seq(), milestones: told };
        packet_for(socket, session, posted, &at)
    });
    let milestones = due.milestones.iter().map(|milestone| {
        let at = Position { chat: chat.clone(), seq: head, milestones: milestone.seq() };
        milestone.packet(&session.cursor(socket.pid.tag(), Some(&at)))
    });
    send(socket, messages.chain(milestones));
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
    let packet = match session.chat(&announced.chat) {
        Some(joined) => joined
            .room
            .announce(Arc::clone(announced))
            .map(|announced| announced.packet(&session.cursor(socket.pid.tag(), None))),
        None => is_news.then(|| announced.notice()),
    };
    send(socket, packet);
}

/// Drops a closed match's chat and says so, once.
pub(super) fn close(socket: &Socket, chat: &MatchId) {
    let mut session = socket.session();
    if session.close(chat) {
        let closed = views::to_json(&serde_json::json!({ "matchId": chat.as_str() }));
        send(socket, [recoverable(event::MATCH_CLOSED, &closed, &session.cursor(socket.pid.tag(), None))]);
    }
}

/// Whether the socket sent the message itself, and so has its ack.
fn is_own(socket: &Socket, posted: &Posted) -> bool {
    posted.sender == *socket.user_id() && posted.message.origin == Some(socket.origin)
}

/// A message that the user saved by REST without naming a socket is shown to the user's own sockets as an update only.
fn packet_for(socket: &Socket, session: &Session, posted: &Posted, at: &Position) -> Packet {
    if posted.sender == *socket.user_id() && posted.message.origin.is_none() {
        return posted.inbox_packet();
    }
    metrics::delivered(posted.message.created_at_ms);
    posted.packet(&session.cursor(socket.pid.tag(), Some(at)))
}

fn send(socket: &Socket, packets: impl IntoIterator<Item = Packet>) {
    let packets: Vec<Packet> = packets.into_iter().collect();
    if !packets.is_empty() {
        // A socket that is gone, or closed for reading too slowly, fetches what it missed when it joins again.
        let _ = socket.emitter.send_all(&packets);
    }
}

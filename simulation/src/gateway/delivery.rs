//! Sends a socket what it is given; after `gateway/src/chat/delivery.rs`.

use std::{rc::Rc, sync::Arc};

use gateway::chat::{Announced, Given, Posted, Session};
use gateway_core::room::{Due, Sequenced};
use proto::MatchId;

use super::{healing, socket::Socket};
use crate::{mistake::Mistake, pipe::Down};

/// Gives a socket messages of one chat that were just stored.
pub(super) fn post(socket: &Rc<Socket>, posts: &[Arc<Posted>]) {
    let Some(chat) = posts.first().map(|posted| &posted.chat) else { return };
    let mut session = socket.session.borrow_mut();
    spoil(socket, &mut session, posts);
    match session.take_posts(posts) {
        Some(due) => give(socket, &mut session, chat, due),
        None => send(socket, socket.viewer().updates(posts)),
    }
}

/// Gives a socket what is due after a join or a backfill.
pub(super) fn give(socket: &Rc<Socket>, session: &mut Session, chat: &MatchId, due: Due<Arc<Posted>, Arc<Announced>>) {
    let Some(joined) = session.chat(chat) else { return };
    healing::heal_if_behind(socket, joined);
    send(socket, session.given(socket.viewer(), chat, due));
}

/// A join has failed: a chat that had been open before goes on, another is dropped.
pub(super) fn join_failed(socket: &Rc<Socket>, chat: &MatchId) {
    let mut session = socket.session.borrow_mut();
    match session.chat(chat).map(|joined| joined.room.join_failed()) {
        Some(Some(due)) => give(socket, &mut session, chat, due),
        Some(None) => drop(session.leave(chat)),
        None => {}
    }
}

/// Tells a socket of a milestone; `to_all` also one that has not joined the chat.
pub(super) fn announce(socket: &Socket, announced: &Arc<Announced>, to_all: bool) {
    let given = socket.session.borrow_mut().take_milestone(socket.pid.tag(), announced, to_all);
    send(socket, given);
}

/// Drops a closed match's chat and says so, once.
pub(super) fn close(socket: &Socket, id: &MatchId) {
    let mut session = socket.session.borrow_mut();
    let Some(chat) = socket.world().cast.chat(id.as_str()) else { return };
    if session.close(id) {
        socket.pipe.send(Down::Closed { chat, cursor: session.cursor(socket.pid.tag(), None) });
    }
}

fn send(socket: &Socket, given: impl IntoIterator<Item = Given>) {
    let cast = &socket.world().cast;
    for given in given {
        let chat = |id: &MatchId| cast.chat(id.as_str()).unwrap_or_default();
        socket.pipe.send(match given {
            Given::Message(posted, cursor) => Down::Received { message: posted.message.clone(), cursor },
            Given::Update(posted) => Down::Updated { chat: chat(&posted.chat) },
            Given::Milestone(announced, cursor) => {
                Down::Milestone { chat: chat(&announced.chat), milestone: announced.milestone.clone(), cursor }
            }
            Given::Notice(announced) => {
                Down::Notice { chat: chat(&announced.chat), milestone: announced.milestone.clone() }
            }
        });
    }
}

/// Planted mistakes: what comes twice, or too early, is delivered all the same.
fn spoil(socket: &Rc<Socket>, session: &mut Session, posts: &[Arc<Posted>]) {
    let mistake = socket.world().mistake;
    if !matches!(mistake, Some(Mistake::NoDrop | Mistake::NoHold)) {
        return;
    }
    for posted in posts.iter().filter(|posted| posted.message.origin != Some(socket.origin)) {
        let Some(chat) = session.open_chat(&posted.chat) else { continue };
        let (seq, cursor) = (posted.seq(), chat.room.cursor());
        let is_spoiled = if mistake == Some(Mistake::NoDrop) { seq <= cursor } else { seq > cursor + 1 };
        if is_spoiled {
            if seq > cursor {
                let milestones = chat.room.milestones();
                chat.room.opened(seq, milestones);
            }
            let cursor = session.cursor(socket.pid.tag(), None);
            socket.pipe.send(Down::Received { message: posted.message.clone(), cursor });
        }
    }
}

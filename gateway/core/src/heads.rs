//! How far chats have come, held against how far the user's sockets have: the difference is fetched.

use std::sync::Arc;

use proto::{MatchId, chat::MatchHead};

use crate::{
    behind, delivery,
    mistake::{self, Mistake},
    output::{Ask, Snapshot, SocketId},
    posted::Announced,
    socket_state::SocketState,
    step::{Limits, Step},
};

/// Asks how far chats have come.
pub(crate) fn ask<L: Limits>(chats: Vec<MatchId>, step: &mut Step<'_, L>) {
    if !chats.is_empty() && !mistake::is_planted(Mistake::NoComparison) {
        step.ask(Ask::Heads(chats.into_iter().map(String::from).collect()));
    }
}

/// Compares a chat's true head with what the user's sockets have that have it open, and has the difference fetched:
/// milestones once for all.
pub(crate) fn compare<L: Limits>(sockets: &mut [SocketState<L::Ticket>], head: &MatchHead, step: &mut Step<'_, L>) {
    let Ok(chat) = MatchId::new(head.match_id.as_str()) else { return };
    let mut untold = Vec::new();
    for socket in sockets {
        if head.closed && socket.chats.open_chat(&chat).is_some() {
            delivery::close(socket, &chat, step);
        } else if milestones_told(socket, &chat, head, step).is_some_and(|told| told < head.rev) {
            untold.push(socket.id);
        }
    }
    ask_milestones(untold, chat, step);
}

/// Has a socket learn the head and fetch messages; gives the milestones it was told of, if it has the chat open.
fn milestones_told<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    chat: &MatchId,
    head: &MatchHead,
    step: &mut Step<'_, L>,
) -> Option<i64> {
    let id = socket.id;
    let joined = socket.chats.open_chat(chat)?;
    joined.room.learn_head(head.last_seq);
    behind::heal_if_behind(id, joined, step);
    Some(joined.room.milestones())
}

/// Asks for the milestones of a chat that sockets which have it open were not told of.
pub(crate) fn ask_milestones<L: Limits>(sockets: Vec<SocketId>, chat: MatchId, step: &mut Step<'_, L>) {
    if !sockets.is_empty() {
        step.ask(Ask::Milestones { sockets, chat });
    }
}

/// Tells a socket that has a chat open of the milestones that it was not told of.
pub(crate) fn tell_milestones<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    chat: &MatchId,
    found: &Snapshot,
    step: &mut Step<'_, L>,
) {
    for milestone in &found.of.milestones {
        let announced = Arc::new(Announced { chat: chat.clone(), milestone: milestone.clone() });
        delivery::announce(socket, &announced, false, step);
    }
}

//! How far chats have come, held against how far the user's sockets have: the difference is fetched.

use proto::{MatchId, chat::MatchHead};

use crate::{
    behind, delivery,
    mistake::{self, Mistake},
    output::Ask,
    socket_state::SocketState,
    step::{Limits, Step},
};

/// Asks how far chats have come.
pub(crate) fn ask<L: Limits>(chats: Vec<MatchId>, step: &mut Step<'_, L>) {
    if !chats.is_empty() && !mistake::is_planted(Mistake::NoComparison) {
        step.ask(Ask::Heads(chats.into_iter().map(String::from).collect()));
    }
}

/// Compares a chat's true head with what the user's sockets have that have it open, and has the difference fetched.
pub(crate) fn compare<L: Limits>(sockets: &mut [SocketState<L::Ticket>], head: &MatchHead, step: &mut Step<'_, L>) {
    let Ok(chat) = MatchId::new(head.match_id.as_str()) else { return };
    for socket in sockets {
        let id = socket.id;
        match socket.chats.open_chat(&chat) {
            Some(_) if head.closed => delivery::close(socket, &chat, step),
            Some(joined) => {
                joined.room.learn_head(head.last_seq, head.rev);
                behind::heal_if_behind(id, joined, step);
            }
            None => {}
        }
    }
}

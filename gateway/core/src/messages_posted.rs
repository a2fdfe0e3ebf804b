//! `MessagesPosted`: one COMMIT stored messages of a match.

use std::sync::Arc;

use proto::inbox::MessagesPosted;

use crate::{
    delivery,
    memory::Memory,
    posted::Posted,
    socket_state::SocketState,
    step::{Limits, Step},
    typing_changed,
};

/// Gives the messages to the user's sockets. Who sends one has stopped typing.
pub(crate) fn hear<L: Limits>(
    (sockets, memory): (&mut [SocketState<L::Ticket>], &mut Memory),
    posted: MessagesPosted,
    step: &mut Step<'_, L>,
) {
    let fields = step.settings.fields;
    let posts: Vec<_> = posted.messages.into_iter().filter_map(|message| Posted::new(message, fields)).collect();
    for posted in &posts {
        if memory.typing_stopped(&posted.chat, &posted.sender) == Some(true) {
            typing_changed::show(sockets, &posted.chat, (&posted.sender, false), step);
        }
    }
    for socket in sockets {
        give(socket, &posts, step);
    }
}

fn give<L: Limits>(socket: &mut SocketState<L::Ticket>, posts: &[Arc<Posted>], step: &mut Step<'_, L>) {
    let Some(first) = posts.first() else { return };
    match socket.chats.take_posts(posts) {
        Some(due) => delivery::give(socket, &first.chat, due, step),
        None => delivery::update(socket, posts, step),
    }
}

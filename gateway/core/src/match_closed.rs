//! `MatchClosed`: a match was closed for good.

use proto::{MatchId, inbox::MatchClosed};

use crate::{
    delivery,
    memory::Memory,
    socket_state::SocketState,
    step::{Limits, Step},
};

/// Drops the chat of the user's sockets, and tells them. Nobody types there any more.
pub(crate) fn hear<L: Limits>(
    (sockets, memory): (&mut [SocketState<L::Ticket>], &mut Memory),
    closed: &MatchClosed,
    step: &mut Step<'_, L>,
) {
    let Ok(chat) = MatchId::new(closed.match_id.as_str()) else { return };
    memory.chat_closed(&chat);
    for socket in sockets {
        delivery::close(socket, &chat, step);
    }
}

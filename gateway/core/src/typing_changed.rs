//! `TypingChanged`: another member types, or has stopped. Who says nothing more is taken to have stopped.

use proto::{MatchId, UserId, inbox::TypingChanged};

use crate::{
    delivery,
    memory::Memory,
    mistake::{self, Mistake},
    socket_state::SocketState,
    step::{Limits, Step},
};

/// Shows it to the user's sockets that have the chat open.
pub(crate) fn hear<L: Limits>(
    (sockets, memory): (&mut [SocketState<L::Ticket>], &mut Memory),
    changed: &TypingChanged,
    step: &mut Step<'_, L>,
) {
    let (Ok(chat), Ok(typist)) = (MatchId::new(changed.match_id.as_str()), UserId::new(changed.user_id.as_str()))
    else {
        return;
    };
    let is_told = if changed.is_typing {
        let started = memory.typing_started(&chat, &typist, step.at.now);
        if let Some((chat, forgotten)) = started.forgotten {
            show(sockets, &chat, (&forgotten, false), step);
        }
        started.is_shown
    } else {
        // Of one who is not known nobody knows what the client was told through another gateway.
        memory.typing_stopped(&chat, &typist) != Some(false)
    };
    if is_told {
        show(sockets, &chat, (&typist, changed.is_typing), step);
    }
}

/// Shows that those have stopped of whom nothing was heard for too long.
pub(crate) fn expire<L: Limits>(
    (sockets, memory): (&mut [SocketState<L::Ticket>], &mut Memory),
    step: &mut Step<'_, L>,
) {
    if mistake::is_planted(Mistake::NoExpiry) {
        return;
    }
    while let Some((chat, typist)) = memory.expire_typist(step.at.now) {
        show(sockets, &chat, (&typist, false), step);
    }
}

pub(crate) fn show<L: Limits>(
    sockets: &mut [SocketState<L::Ticket>],
    chat: &MatchId,
    typing: (&UserId, bool),
    step: &mut Step<'_, L>,
) {
    for socket in sockets {
        delivery::show_typing(socket, chat, typing, step);
    }
}

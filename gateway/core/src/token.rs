//! How long a socket's token is good.

use std::ops::Range;

use proto::{chat::Revocation, client::event, rfc3339};

use crate::{
    output::{Event, Output},
    socket_state::SocketState,
    step::{Limits, Step},
    views,
};

/// How long before its token expires a client is told.
const EXPIRY_NOTICE_S: i64 = 60;

/// Closes a socket whose token has expired, and gives notice to one whose token comes within a minute of that in these
/// seconds.
pub(crate) fn watch<L: Limits>(socket: &SocketState<L::Ticket>, seconds: &Range<i64>, step: &mut Step<'_, L>) {
    let expires_at_s = socket.token.expires_at_s;
    if expires_at_s <= seconds.end {
        step.out.push(Output::Close(socket.id));
    } else if seconds.contains(&(expires_at_s - EXPIRY_NOTICE_S)) {
        give_notice(socket, step);
    }
}

/// Does for a new token what a moment earlier would have been done for all sockets. False if its socket is closed.
pub(crate) fn watch_new<L: Limits>(socket: &SocketState<L::Ticket>, step: &mut Step<'_, L>) -> bool {
    if socket.token.is_revoked {
        step.out.push(Output::Close(socket.id));
        return false;
    }
    if socket.token.expires_at_s - step.at.unix_ms / 1_000 < EXPIRY_NOTICE_S {
        give_notice(socket, step);
    }
    true
}

/// Whether a revocation of its user ends a socket: one that was here when the user was revoked, and one that has come
/// since with a token that is refused. Who has signed in again since then stays.
pub(crate) fn is_ended_by<T>(socket: &SocketState<T>, revocation: &Revocation) -> bool {
    socket.token.issued_at_ms < revocation.not_before_ms || socket.was_connected(revocation.changed_ms)
}

fn give_notice<L: Limits>(socket: &SocketState<L::Ticket>, step: &mut Step<'_, L>) {
    let notice = serde_json::json!({ "expiresAt": rfc3339::write(socket.token.expires_at_s * 1_000) });
    step.emit(socket.id, Event::new(event::TOKEN_EXPIRING, views::to_json(&notice)));
}

//! What arrives for a user's sockets, as packets.

use proto::client::event;

pub use gateway_core::posted::{Announced, Posted};

use crate::socketio::Packet;

/// The `receive_message` event of a socket whose cursor it moves.
pub(super) fn message(posted: &Posted, cursor: &str) -> Packet {
    recoverable(event::RECEIVE_MESSAGE, posted.json(), cursor)
}

/// The `inbox_updated` event.
pub(super) fn update(posted: &Posted) -> Packet {
    Packet::event(event::INBOX_UPDATED, &posted.update_json())
}

/// The `milestone_reached` event; a socket that has not joined is given no cursor.
pub(super) fn milestone(announced: &Announced, cursor: &str) -> Packet {
    recoverable(event::MILESTONE_REACHED, &announced.json(), cursor)
}

/// An event whose last argument is the socket's cursor after it. A socket that is not recovered has an empty one and is
/// given none.
pub(crate) fn recoverable(name: &str, json: &str, cursor: &str) -> Packet {
    if cursor.is_empty() {
        return Packet::event(name, json);
    }
    Packet::event(name, &format!("{json},\"{cursor}\""))
}

//! `ReceiptUpdated`: a member has read or received more.

use proto::{MatchId, inbox::ReceiptUpdated, rfc3339};
use serde::Serialize;

use crate::{
    output::Event,
    socket_state::SocketState,
    step::{Limits, Step},
    views,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    match_id: &'a str,
    user_id: &'a str,
    read_seq: i64,
    delivered_seq: i64,
    at: String,
}

/// Tells the user's sockets: of the user's own position all, so that badges agree, of others' those that have joined.
pub(crate) fn hear<L: Limits>(
    sockets: &mut [SocketState<L::Ticket>],
    updated: &ReceiptUpdated,
    step: &mut Step<'_, L>,
) {
    let Ok(chat) = MatchId::new(updated.match_id.as_str()) else { return };
    let is_own = updated.user_id == step.user.as_str();
    for socket in sockets {
        if is_own || socket.chats.open_chat(&chat).is_some() {
            step.emit(socket.id, event(updated));
        }
    }
}

/// `receipt_updated`.
pub(crate) fn event(updated: &ReceiptUpdated) -> Event {
    let &ReceiptUpdated { read_seq, delivered_seq, at_ms, .. } = updated;
    let (match_id, user_id, at) = (&updated.match_id, &updated.user_id, rfc3339::write(at_ms));
    let view = View { match_id, user_id, read_seq, delivered_seq, at };
    Event::new(proto::client::event::RECEIPT_UPDATED, views::to_json(&view))
}

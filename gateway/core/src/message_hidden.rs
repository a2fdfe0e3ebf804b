//! `MessageHidden`: the user has hidden a message, on whichever device.

use proto::{MatchId, client::event, inbox::MessageHidden};

use crate::{
    output::Event,
    socket_state::SocketState,
    step::{Limits, Step},
    views,
};

/// Tells the user's sockets that have the chat open. It moves no cursor: what is hidden is in no page.
pub(crate) fn hear<L: Limits>(
    sockets: &mut [SocketState<L::Ticket>],
    MessageHidden { match_id, seq }: &MessageHidden,
    step: &mut Step<'_, L>,
) {
    let Ok(chat) = MatchId::new(match_id.as_str()) else { return };
    let hidden = serde_json::json!({ "matchId": match_id, "seq": seq, "kind": "hidden" });
    for socket in sockets {
        if socket.chats.open_chat(&chat).is_some() {
            step.emit(socket.id, Event::new(event::MESSAGE_CHANGED, views::to_json(&hidden)));
        }
    }
}

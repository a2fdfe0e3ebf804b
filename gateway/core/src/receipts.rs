//! How far the others have come in the chats of a socket that was recovered: nobody knows what the earlier one was
//! told.

use proto::{
    chat::{GetReceiptsResponse, Position, Receipts},
    inbox::ReceiptUpdated,
};

use crate::{
    failure::Failure,
    output::{Ask, SocketId},
    receipt_updated,
    socket_state::SocketState,
    step::{Limits, Step},
};

/// Asks for what is shared in the chats that a socket has open.
pub(crate) fn ask<L: Limits>(socket: &SocketState<L::Ticket>, step: &mut Step<'_, L>) {
    if !step.settings.receipts {
        return;
    }
    let chats: Vec<String> = socket.chats.open_chats().map(|chat| chat.id.to_string()).collect();
    if !chats.is_empty() {
        step.ask(Ask::Receipts(socket.id, chats));
    }
}

/// Tells it, once.
pub(crate) fn found<L: Limits>(socket: SocketId, found: Result<GetReceiptsResponse, Failure>, step: &mut Step<'_, L>) {
    let receipts = found.map(|found| found.receipts).unwrap_or_default();
    for Receipts { match_id, others, .. } in receipts {
        for Position { user_id, read_seq, delivered_seq, at_ms, .. } in others {
            let Some(at_ms) = at_ms else { continue };
            let match_id = match_id.clone();
            let updated = ReceiptUpdated { match_id, user_id, read_seq, delivered_seq, at_ms };
            step.emit(socket, receipt_updated::event(&updated));
        }
    }
}

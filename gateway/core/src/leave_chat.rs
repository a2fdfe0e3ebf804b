//! `leave_chat`: a chat is closed.

use proto::{Code, MatchId, client::event};

use crate::{
    arguments::{self, ClientEvent},
    command::Command,
    delivery,
    output::Event,
    reply::Reply,
    socket_state::SocketState,
    step::{Limits, Step},
    typing, views,
};

/// Reads a `leave_chat`; one that is refused is answered.
pub(crate) fn read<L: Limits>(
    socket: &SocketState<L::Ticket>,
    event: &ClientEvent<'_>,
    reply: Reply,
    step: &mut Step<'_, L>,
) -> Option<(MatchId, Command<L::Ticket>)> {
    match arguments::match_argument(event) {
        Ok(chat) => Some((chat, Command::Leave(reply))),
        Err(failure) => {
            step.fail(socket.id, &reply, &failure);
            None
        }
    }
}

/// Closes the chat.
pub(crate) fn run<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    chat: &MatchId,
    reply: &Reply,
    step: &mut Step<'_, L>,
) {
    let Some(mut left) = socket.chats.leave(chat) else {
        let code = if socket.chats.is_closed(chat) { Code::MatchClosed } else { Code::NotJoined };
        return step.fail(socket.id, reply, &code.into());
    };
    typing::stop(&mut left, step);
    step.ok(socket.id, reply, "{\"ok\":true}".to_owned());
    delivery::silence(&left).for_each(|silence| step.emit(socket.id, silence));
    let left = views::to_json(&serde_json::json!({ "matchId": chat.as_str() }));
    step.emit(socket.id, Event::recoverable(event::CHAT_LEFT, left, socket.cursor()));
}

//! Gives a socket what it is due, and has fetched what it misses.

use std::sync::Arc;

use proto::{MatchId, UserId, client::event};

use crate::{
    behind,
    chats::JoinedChat,
    given::Given,
    output::{Event, Json},
    posted::{Announced, Posted},
    room::Due,
    socket_state::SocketState,
    step::{Limits, Step},
    views,
};

/// What is due in a chat.
pub(crate) type DueEvents = Due<Arc<Posted>, Arc<Announced>>;

/// Gives a socket what is due in one of its chats, after a message, a join or a page.
pub(crate) fn give<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    chat: &MatchId,
    due: DueEvents,
    step: &mut Step<'_, L>,
) {
    let Some(joined) = socket.chats.chat(chat) else { return };
    behind::heal_if_behind(socket.id, joined, step);
    for given in socket.chats.given(socket.viewer(step.user), chat, due) {
        step.emit(socket.id, event_of(given));
    }
}

/// Gives a socket messages of a chat that was fetched for it.
pub(crate) fn give_messages<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    chat: &MatchId,
    messages: Vec<Arc<Posted>>,
    step: &mut Step<'_, L>,
) {
    give(socket, chat, Due { messages, milestones: Vec::new() }, step);
}

/// Gives a socket that has not joined their chat word of messages that are not its own.
pub(crate) fn update<L: Limits>(socket: &SocketState<L::Ticket>, posts: &[Arc<Posted>], step: &mut Step<'_, L>) {
    for given in socket.viewer(step.user).updates(posts) {
        step.emit(socket.id, event_of(given));
    }
}

/// Tells a socket of a milestone; `to_all` also one that has not joined the chat.
pub(crate) fn announce<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    announced: &Arc<Announced>,
    to_all: bool,
    step: &mut Step<'_, L>,
) {
    let tag = socket.name.tag();
    if let Some(given) = socket.chats.take_milestone(tag, announced, to_all) {
        step.emit(socket.id, event_of(given));
    }
}

/// Drops a closed match's chat and says so, once.
pub(crate) fn close<L: Limits>(socket: &mut SocketState<L::Ticket>, chat: &MatchId, step: &mut Step<'_, L>) {
    let silence = socket.chats.open_chat(chat).and_then(|joined| silence(joined));
    if socket.chats.close(chat) {
        let closed = views::to_json(&serde_json::json!({ "matchId": chat.as_str() }));
        let closed = Event::recoverable(event::MATCH_CLOSED, closed, socket.cursor());
        silence.into_iter().chain([closed]).for_each(|event| step.emit(socket.id, event));
    }
}

/// Tells a socket that somebody in a chat that it has open types, or has stopped.
pub(crate) fn show_typing<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    chat: &MatchId,
    (typist, is_typing): (&UserId, bool),
    step: &mut Step<'_, L>,
) {
    if let Some(joined) = socket.chats.open_chat(chat) {
        joined.shown = is_typing;
        step.emit(socket.id, user_typing(chat, typist, is_typing));
    }
}

/// What a socket is told before it is told that it has left a chat: the other member, if shown as typing, is no more.
/// It would hear nothing of that afterwards.
pub(crate) fn silence(left: &JoinedChat) -> Option<Event> {
    left.other.as_ref().filter(|_| left.shown).map(|other| user_typing(&left.id, other, false))
}

/// Tells a recovered socket that nobody types, as nobody knows what the earlier one was told. To be called before it
/// hears anything.
pub(crate) fn silence_all<L: Limits>(socket: &SocketState<L::Ticket>, step: &mut Step<'_, L>) {
    let others = socket.chats.open_chats().filter_map(|chat| Some((&chat.id, chat.other.as_ref()?)));
    others.for_each(|(chat, other)| step.emit(socket.id, user_typing(chat, other, false)));
}

fn user_typing(chat: &MatchId, typist: &UserId, is_typing: bool) -> Event {
    let shown = serde_json::json!({ "matchId": chat.as_str(), "userId": typist.as_str(), "isTyping": is_typing });
    Event::new(event::USER_TYPING, views::to_json(&shown))
}

fn event_of(given: Given) -> Event {
    match given {
        Given::Message(posted, cursor) => Event { name: event::RECEIVE_MESSAGE, json: Json::Message(posted), cursor },
        Given::Update(posted) => Event::new(event::INBOX_UPDATED, posted.update_json()),
        Given::Milestone(announced, cursor) => Event::recoverable(event::MILESTONE_REACHED, announced.json(), cursor),
        Given::Notice(announced) => Event::new(event::MILESTONE_REACHED, announced.json()),
    }
}

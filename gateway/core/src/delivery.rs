//! Gives a socket what it is due, and has fetched what it misses.

use std::sync::Arc;

use proto::{MatchId, UserId, client::event};

use crate::{
    behind,
    changed::{self, Changed},
    chats::JoinedChat,
    given::{DueEvents, Given},
    output::{Event, Json},
    posted::Posted,
    proofs,
    socket_state::SocketState,
    step::{Limits, Step},
    track::Counted,
    views,
};

/// Gives a socket what is due in one of its chats, after a message, a join or a page.
pub(crate) fn give<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    chat: &MatchId,
    mut due: DueEvents,
    step: &mut Step<'_, L>,
) {
    let Some(joined) = socket.chats.chat(chat) else { return };
    behind::heal_if_behind(socket.id, joined, step);
    for membership in due.changes.iter().filter_map(|changed| changed.membership()) {
        joined.others.change(membership, step.user);
    }
    let is_closed = due.changes.iter().any(|changed| changed.closes());
    let removal = changed::removal(&due.changes, step.user);
    joined.is_out = removal.is_some() || (joined.is_out && !changed::admits(&due.changes, step.user));
    // What is missing may make the user a member again.
    let is_removed = joined.is_out && joined.room.missing().is_none();
    if let Some(removal) = removal.filter(|_| is_removed) {
        due.changes.truncate(removal);
    }
    let mut newest = None;
    for given in socket.chats.given(socket.viewer(step.user), chat, due) {
        if let Given::Message(posted, _) = &given {
            newest = Some(posted.number());
        }
        if let Some(event) = event_of(given) {
            step.emit(socket.id, event);
        }
    }
    if let Some(newest) = newest {
        proofs::given(socket, chat, newest, step);
    }
    if is_removed {
        remove(socket, chat, step);
    } else if is_closed {
        close(socket, chat, step);
    }
}

/// Gives a socket that has not joined their chat word of messages that are not its own.
pub(crate) fn update<L: Limits>(socket: &SocketState<L::Ticket>, posts: &[Arc<Posted>], step: &mut Step<'_, L>) {
    for event in socket.viewer(step.user).updates(posts).filter_map(event_of) {
        step.emit(socket.id, event);
    }
}

/// Tells a socket of a change; `to_all` also one that has not joined the chat, as far as it concerns that.
pub(crate) fn give_change<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    changed: &Arc<Changed>,
    to_all: bool,
    step: &mut Step<'_, L>,
) {
    match socket.chats.take_change(changed) {
        Some(due) => give(socket, &changed.chat, due, step),
        None if to_all && !socket.chats.is_past(&changed.chat, changed.change.rev) => {
            if let Some((name, json)) = changed.notice(step.user) {
                step.emit(socket.id, Event::new(name, json));
            }
        }
        None => {}
    }
}

/// Drops a closed match's chat and says so, once.
pub(crate) fn close<L: Limits>(socket: &mut SocketState<L::Ticket>, chat: &MatchId, step: &mut Step<'_, L>) {
    socket.watches.forget(chat);
    let silence: Vec<Event> = socket.chats.open_chat(chat).into_iter().flat_map(|joined| silence(joined)).collect();
    if socket.chats.close(chat) {
        let closed = views::to_json(&serde_json::json!({ "matchId": chat.as_str() }));
        let closed = Event::recoverable(event::MATCH_CLOSED, closed, socket.cursor());
        silence.into_iter().chain([closed]).for_each(|event| step.emit(socket.id, event));
    }
}

/// Drops a chat of which the user is no member any more, and says so.
pub(crate) fn remove<L: Limits>(socket: &mut SocketState<L::Ticket>, chat: &MatchId, step: &mut Step<'_, L>) {
    socket.watches.forget(chat);
    let Some(left) = socket.chats.leave(chat) else { return };
    let removed = Event::recoverable(event::MATCH_CLOSED, views::removed(chat.as_str()), socket.cursor());
    silence(&left).chain([removed]).for_each(|event| step.emit(socket.id, event));
}

/// Tells a socket that somebody in a chat that it has open types, or has stopped.
pub(crate) fn show_typing<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    chat: &MatchId,
    (typist, is_typing): (&UserId, bool),
    step: &mut Step<'_, L>,
) {
    // Who has just gone from the chat has stopped, too.
    let is_shown = |joined: &&mut JoinedChat| {
        let is_hidden = joined.hides_typing || joined.others.is_apart(typist);
        !is_hidden && (!is_typing || joined.others.has(typist))
    };
    if let Some(joined) = socket.chats.open_chat(chat).filter(is_shown) {
        joined.shown.retain(|shown| shown != typist);
        if is_typing {
            joined.shown.push(typist.clone());
        }
        step.emit(socket.id, user_typing(chat, typist, is_typing));
    }
}

/// What a socket is told before it is told that it has left a chat: who is shown as typing is no more. It would hear
/// nothing of that afterwards.
pub(crate) fn silence(left: &JoinedChat) -> impl Iterator<Item = Event> {
    left.shown.iter().map(|typist| user_typing(&left.id, typist, false))
}

/// Tells a recovered socket that nobody types, as nobody knows what the earlier one was told. To be called before it
/// hears anything. In a large group that would be more than a socket can take: there its client has to know.
pub(crate) fn silence_all<L: Limits>(socket: &SocketState<L::Ticket>, step: &mut Step<'_, L>) {
    let small = socket.chats.open_chats().filter(|chat| chat.others.are_few());
    let others = small.flat_map(|chat| chat.others.iter().map(|other| (&chat.id, other)));
    others.for_each(|(chat, other)| step.emit(socket.id, user_typing(chat, other, false)));
}

fn user_typing(chat: &MatchId, typist: &UserId, is_typing: bool) -> Event {
    let shown = serde_json::json!({ "matchId": chat.as_str(), "userId": typist.as_str(), "isTyping": is_typing });
    Event::new(event::USER_TYPING, views::to_json(&shown))
}

fn event_of(given: Given) -> Option<Event> {
    Some(match given {
        Given::Message(posted, cursor) => Event { name: event::RECEIVE_MESSAGE, json: Json::Message(posted), cursor },
        Given::Update(posted) => Event::new(event::INBOX_UPDATED, posted.update_json()),
        Given::Change(changed, cursor) => {
            let (name, json) = changed.event()?;
            Event::recoverable(name, json, cursor)
        }
    })
}

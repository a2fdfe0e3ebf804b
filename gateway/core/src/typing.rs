//! `typing`: the other members' sockets that have joined are told that this user types, and that the user has stopped.

use proto::{
    Code, MatchId, UserId,
    inbox::{SoftEvent, TypingChanged, soft_event},
};
use serde::Deserialize;

use crate::{
    arguments::{self, ClientEvent},
    chats::JoinedChat,
    command::Command,
    failure::Failure,
    output::{Output, Patience},
    reply::Reply,
    socket_state::SocketState,
    step::{Limited, Limits, Step},
};

#[derive(Deserialize)]
#[serde(untagged)]
enum TypingArgument {
    Id(String),
    #[serde(rename_all = "camelCase")]
    Object {
        match_id: String,
        is_typing: bool,
    },
}

/// Reads a `typing`; one that is refused is answered.
pub(crate) fn read<L: Limits>(
    socket: &SocketState<L::Ticket>,
    event: &ClientEvent<'_>,
    reply: Reply,
    step: &mut Step<'_, L>,
) -> Option<(MatchId, Command<L::Ticket>)> {
    match typing_argument(event) {
        Ok((chat, is_typing)) => Some((chat, Command::Typing(is_typing, reply))),
        Err(failure) => {
            step.fail(socket.id, &reply, &failure);
            None
        }
    }
}

/// `{matchId, isTyping}`, `matchId`, or both as two arguments.
fn typing_argument(event: &ClientEvent<'_>) -> Result<(MatchId, bool), Failure> {
    let (id, is_typing) = match (arguments::argument(event)?, event.arguments[1]) {
        (TypingArgument::Id(id), None) => (id, true),
        (TypingArgument::Id(id), Some(is_typing)) => {
            (id, serde_json::from_str(is_typing).map_err(|_| Failure::invalid())?)
        }
        (TypingArgument::Object { match_id, is_typing }, None | Some("null")) => (match_id, is_typing),
        (TypingArgument::Object { .. }, Some(_)) => return Err(Failure::invalid()),
    };
    Ok((arguments::match_id(id)?, is_typing))
}

/// Tells the other members, if the chat is open.
pub(crate) fn run<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    id: &MatchId,
    (is_typing, reply): (bool, &Reply),
    step: &mut Step<'_, L>,
) {
    let socket_id = socket.id;
    let closed = socket.chats.is_closed(id);
    let Some(chat) = socket.chats.open_chat(id) else {
        let code = if closed { Code::MatchClosed } else { Code::NotJoined };
        return step.fail(socket_id, reply, &code.into());
    };
    if !is_typing {
        stop(chat, step);
    } else if chat.hides_typing {
        // Who does not share it is answered as ever.
    } else if let Err(wait) = step.limits.take(Limited::Typing, step.user, step.at.now) {
        return step.fail(socket_id, reply, &Failure::rate_limited(wait));
    } else {
        // It is worth no wait. Without room for it they were not told, unless they were told before.
        let is_first = !std::mem::replace(&mut chat.typing, true);
        let patience = Patience::None(is_first.then(|| (socket_id, id.clone())));
        tell(chat, true, patience, step);
    }
    step.ok(socket_id, reply, "{\"ok\":true}".to_owned());
}

/// Tells the other members that this user has stopped, if they were told that the user types.
pub(crate) fn stop<L: Limits>(chat: &mut JoinedChat, step: &mut Step<'_, L>) {
    if std::mem::take(&mut chat.typing) {
        tell(chat, false, Patience::Bounded, step);
    }
}

fn tell<L: Limits>(chat: &JoinedChat, is_typing: bool, patience: Patience, step: &mut Step<'_, L>) {
    let others = chat.others.told();
    if !others.is_empty() {
        step.out.push(Output::Publish(others, event(step.user, &chat.id, is_typing), patience));
    }
}

fn event(user: &UserId, chat: &MatchId, is_typing: bool) -> SoftEvent {
    let changed = TypingChanged { match_id: chat.as_str().to_owned(), user_id: user.as_str().to_owned(), is_typing };
    SoftEvent { event: Some(soft_event::Event::TypingChanged(changed)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::tests::event;

    #[test]
    fn typing_is_taken_as_it_is_meant_or_refused() {
        let demo = |is_typing| Ok((MatchId::new("demo").unwrap(), is_typing));
        let read = |arguments| typing_argument(&event("typing", arguments));
        for (arguments, taken) in [
            ([Some(r#""demo""#), None], demo(true)),
            ([Some(r#""demo""#), Some("true")], demo(true)),
            ([Some(r#""demo""#), Some("false")], demo(false)),
            ([Some(r#"{"matchId":"demo","isTyping":false}"#), None], demo(false)),
            ([Some(r#"{"matchId":"demo","isTyping":true}"#), Some("null")], demo(true)),
        ] {
            assert_eq!(read(arguments), taken, "{arguments:?}");
        }
        for arguments in [
            [Some(r#""demo""#), Some("null")],
            [Some(r#""demo""#), Some("0")],
            [Some(r#""demo""#), Some(r#""false""#)],
            [Some(r#""demo""#), Some(r#"{"isTyping":false}"#)],
            [Some(r#"{"matchId":"demo"}"#), None],
            [Some(r#"{"matchId":"demo"}"#), Some("false")],
            [Some(r#"{"matchId":"demo","isTyping":true}"#), Some("false")],
            [Some(r#"{"matchId":"demo","isTyping":"false"}"#), None],
            [Some(r#"{"matchId":"demo","isTyping":null}"#), None],
            [Some(r#"{"matchId":"demo","isTyping":0}"#), None],
            [Some(""), None],
            [Some("null"), None],
            [None, None],
        ] {
            assert_eq!(read(arguments), Err(Failure::invalid()), "{arguments:?}");
        }
    }
}

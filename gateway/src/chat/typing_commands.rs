//! `typing`: the other member's sockets that have joined are told that this user types, and that the user has stopped.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use proto::{
    Code, MatchId, UserId,
    inbox::{InboxEvent, TypingChanged, inbox_event},
};
use serde::Deserialize;

use super::{
    Context, Socket, commands,
    order::{self, Command},
    reply::Reply,
    session::JoinedChat,
};
use crate::{failure::Failure, socketio::Args};

/// What is told of typing after a message waits until the message has come around, as it would overtake it else, and the receiver
/// takes a message for the end of the typing; but it waits no longer than this.
const OWN_COMES_WITHIN: Duration = Duration::from_millis(500);
/// How often it is looked for.
const OWN_CHECK: Duration = Duration::from_millis(5);

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

/// Handles a `typing`.
pub(super) fn take(context: &Arc<Context>, socket: &Arc<Socket>, args: Args<'_>, reply: Reply) {
    match read(args) {
        Ok((chat, is_typing)) => order::take(context, socket, chat, Command::Typing(is_typing, reply)),
        Err(failure) => reply.fail(&failure),
    }
}

/// `{matchId, isTyping}`, `matchId`, or both as two arguments.
fn read(args: Args<'_>) -> Result<(MatchId, bool), Failure> {
    let (id, is_typing) = match (commands::argument(args)?, args.get(1)) {
        (TypingArgument::Id(id), None) => (id, true),
        (TypingArgument::Id(id), Some(is_typing)) => {
            (id, serde_json::from_str(is_typing).map_err(|_| Failure::invalid())?)
        }
        (TypingArgument::Object { match_id, is_typing }, None | Some("null")) => (match_id, is_typing),
        (TypingArgument::Object { .. }, Some(_)) => return Err(Failure::invalid()),
    };
    Ok((commands::match_id(id)?, is_typing))
}

/// Whether a message of this socket is stored and may not have reached the other member yet.
pub(super) fn awaits_own(socket: &Socket, chat: &MatchId) -> bool {
    socket.session().open_chat(chat).is_some_and(|chat| chat.awaits_own())
}

/// Waits until the messages that this socket sent have come around, within bounds.
pub(super) async fn own_has_come(socket: &Socket, chat: &MatchId) {
    let until = Instant::now() + OWN_COMES_WITHIN;
    while awaits_own(socket, chat) && Instant::now() < until {
        tokio::time::sleep(OWN_CHECK).await;
    }
}

/// Tells the other member, if the chat is open.
pub(super) fn run(context: &Arc<Context>, socket: &Socket, id: &MatchId, (is_typing, reply): (bool, Reply)) {
    let mut session = socket.session();
    let closed = session.is_closed(id);
    let Some(chat) = session.open_chat(id) else {
        let code = if closed { Code::MatchClosed } else { Code::NotJoined };
        return reply.fail(&code.into());
    };
    if !is_typing {
        stop(context, socket.user_id(), chat);
    } else if let Err(wait) = context.limits.typing.take(socket.user_id().as_str(), Instant::now()) {
        return reply.fail(&Failure::rate_limited(wait));
    } else {
        chat.typing |= tell(context, socket.user_id(), chat);
    }
    reply.ok("{\"ok\":true}");
}

/// Tells the other member that this user has stopped, if it was told that the user types.
pub(super) fn stop(context: &Arc<Context>, user: &UserId, chat: &mut JoinedChat) {
    let Some(other) = chat.other.clone().filter(|_| std::mem::take(&mut chat.typing)) else { return };
    let event = event(user, &chat.id, false);
    let context = Arc::clone(context);
    let bus = context.services.bus.clone();
    let mut told = Box::pin(async move { bus.publish(&bus.subjects().inbox(&other), &event).await });
    if told.as_mut().now_or_never().is_none() {
        // The publish waits for room within bounds.
        context.lifecycle.spawn(told.map(|_| ()));
    }
}

/// Tells the other member that this user types. It is worth no wait: a publish that finds no room at once is dropped. True if it was
/// published.
fn tell(context: &Context, user: &UserId, chat: &JoinedChat) -> bool {
    let Some(other) = &chat.other else { return false };
    let bus = &context.services.bus;
    let told = bus.publish(&bus.subjects().inbox(other), &event(user, &chat.id, true)).now_or_never();
    told.is_some_and(|published| published.is_ok())
}

fn event(user: &UserId, chat: &MatchId, is_typing: bool) -> InboxEvent {
    let changed = TypingChanged { match_id: chat.as_str().to_owned(), user_id: user.as_str().to_owned(), is_typing };
    InboxEvent { event: Some(inbox_event::Event::TypingChanged(changed)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_is_taken_as_it_is_meant_or_refused() {
        let demo = |is_typing| Ok((MatchId::new("demo").unwrap(), is_typing));
        for (json, taken) in [
            (r#""demo""#, demo(true)),
            (r#""demo",true"#, demo(true)),
            (r#""demo",false"#, demo(false)),
            (r#""demo",false,1"#, demo(false)),
            (r#"{"matchId":"demo","isTyping":false}"#, demo(false)),
            (r#"{"matchId":"demo","isTyping":true},null"#, demo(true)),
        ] {
            assert_eq!(read(Args::from_raw(json)), taken, "{json}");
        }
        for json in [
            r#""demo",null"#,
            r#""demo",0"#,
            r#""demo","false""#,
            r#""demo",{"isTyping":false}"#,
            r#"{"matchId":"demo"}"#,
            r#"{"matchId":"demo"},false"#,
            r#"{"matchId":"demo","isTyping":true},false"#,
            r#"{"matchId":"demo","isTyping":"false"}"#,
            r#"{"matchId":"demo","isTyping":null}"#,
            r#"{"matchId":"demo","isTyping":0}"#,
            "",
            "null",
        ] {
            assert_eq!(read(Args::from_raw(json)), Err(Failure::invalid()), "{json}");
        }
    }
}

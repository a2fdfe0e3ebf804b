//! What clients send: each event goes to the part that knows it, within the user's limits.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use proto::{
    MatchId,
    client::{both, command},
};
use serde::Deserialize;

use super::{Context, Socket, call_commands, connections, joins, reply::Reply, sends, typing_commands};
use crate::{failure::Failure, limits::Flood, socketio::Event};

/// When a socket's client last sent an event. One that has sent none counts from its CONNECT.
#[derive(Debug)]
pub(crate) struct Activity {
    last_event: Instant,
}

impl Default for Activity {
    fn default() -> Self {
        Self { last_event: Instant::now() }
    }
}

impl Activity {
    /// How long the client has been silent at `now`. Heartbeats are no events.
    pub(super) fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.last_event)
    }
}

/// A match, named alone or in an object.
#[derive(Deserialize)]
#[serde(untagged)]
enum MatchArgument {
    Id(String),
    #[serde(rename_all = "camelCase")]
    Object {
        match_id: String,
    },
}

/// Handles one event of a client.
pub(super) fn handle(context: &Arc<Context>, socket: &Arc<Socket>, event: &Event<'_>, now: Instant) {
    let reply = Reply::new(&socket.emitter, event);
    socket.session().activity.last_event = now;
    match context.limits.take_event(socket.user_id().as_str(), now) {
        Ok(()) => {}
        Err(Flood::TooEarly(wait)) => return reply.fail(&Failure::rate_limited(wait)),
        Err(Flood::GoesOn(wait)) => return reply.cut_off(&Failure::rate_limited(wait)),
    }
    // No command of ours takes binary data.
    if event.is_invalid() || event.announced > 0 {
        return reply.fail(&Failure::invalid());
    }
    match event.name {
        command::SEND_MESSAGE => sends::send(context, socket, event.args, reply),
        command::JOIN_CHAT => joins::join(context, socket, event.args, reply),
        command::LEAVE_CHAT => joins::leave(context, socket, event.args, reply),
        command::TYPING => typing_commands::take(context, socket, event.args, reply),
        command::VIDEO_CALL_REQUEST
        | command::VIDEO_CALL_SIGNAL
        | both::VIDEO_CALL_ACCEPTED
        | both::VIDEO_CALL_REJECTED
        | both::VIDEO_CALL_ENDED => call_commands::take(context, socket, event, reply),
        command::REFRESH_TOKEN => connections::refresh_token(context, socket, event.args, reply),
        _ => reply.fail(&Failure::invalid()),
    }
}

/// The first argument, text or an object, as a `T`; anything else is `INVALID_PAYLOAD`. What stands beyond it is ignored, as a handler of
/// one argument does with npm's server.
pub(super) fn argument<'a, T: Deserialize<'a>>(args: crate::socketio::Args<'a>) -> Result<T, Failure> {
    let first = args.get(0).unwrap_or("null");
    // Of an array serde would take the elements for the fields, in their order.
    if first.starts_with('[') {
        return Err(Failure::invalid());
    }
    serde_json::from_str(first).map_err(|_| Failure::invalid())
}

/// The first argument as a match: `matchId` or `{matchId}`.
pub(super) fn match_argument(args: crate::socketio::Args<'_>) -> Result<MatchId, Failure> {
    match argument(args)? {
        MatchArgument::Id(id) | MatchArgument::Object { match_id: id } => match_id(id),
    }
}

/// A match id; a malformed one is `INVALID_PAYLOAD`.
pub(super) fn match_id(text: impl AsRef<str> + Into<Box<str>>) -> Result<MatchId, Failure> {
    MatchId::new(text).map_err(|_| Failure::invalid())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socketio::Args;

    #[test]
    fn a_match_is_named_alone_or_in_an_object_but_not_in_an_array() {
        let named = |json| match_argument(Args::from_raw(json));
        assert_eq!(named(r#""demo""#), MatchId::new("demo").map_err(|_| Failure::invalid()));
        assert_eq!(named(r#"{"matchId":"demo"}"#), named(r#""demo""#));
        for json in [r#"["demo"]"#, r#" [ "demo" ]"#, "{}", "7", ""] {
            assert_eq!(named(json), Err(Failure::invalid()), "{json}");
        }
    }

    #[test]
    fn arguments_beyond_the_first_are_ignored() {
        let named = |json| match_argument(Args::from_raw(json));
        for json in [r#""demo",null"#, r#""demo",{}"#, r#"{"matchId":"demo"},"other",7"#] {
            assert_eq!(named(json), named(r#""demo""#), "{json}");
        }
    }
}

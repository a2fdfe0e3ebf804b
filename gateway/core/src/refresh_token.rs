//! `refresh_token`: the connection lives on with the new token.

use proto::{Code, UserId, rfc3339};
use serde::Deserialize;

use crate::{
    arguments::{self, ClientEvent},
    failure::Failure,
    output::Ask,
    reply::Reply,
    socket_state::SocketState,
    step::{Limits, Step},
    token,
    validity::Validity,
    views,
};

#[derive(Deserialize)]
struct Credentials {
    token: String,
}

/// Has the token checked.
pub(crate) fn take<L: Limits>(
    socket: &SocketState<L::Ticket>,
    event: &ClientEvent<'_>,
    reply: Reply,
    step: &mut Step<'_, L>,
) {
    match arguments::argument(event) {
        Ok(Credentials { token }) => step.ask(Ask::Identify(socket.id, reply, token)),
        Err(failure) => step.fail(socket.id, &reply, &failure),
    }
}

/// The token was checked.
pub(crate) fn end<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    reply: &Reply,
    identified: Result<(UserId, Validity), Failure>,
    step: &mut Step<'_, L>,
) {
    let of_user = |(user, token): (UserId, Validity)| {
        if user == *step.user { Ok(token) } else { Err(Code::Unauthenticated.into()) }
    };
    match identified.and_then(of_user) {
        Ok(token) => {
            socket.token = token;
            token::watch_new(socket, step);
            let expires_at = rfc3339::write(token.expires_at_s * 1_000);
            let json = views::to_json(&serde_json::json!({ "ok": true, "expiresAt": expires_at }));
            step.ok(socket.id, reply, json);
        }
        Err(failure) => step.fail(socket.id, reply, &failure),
    }
}

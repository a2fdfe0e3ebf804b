//! How a socket comes and goes: its token, its user's inbox, the call that may ring.

use std::{sync::Arc, time::Instant};

use proto::{
    Code, UserId,
    inbox::{
        CallChanged,
        call_changed::{Accepted, Change, Incoming},
    },
    signaling::{Call, CallState, get_call_request::Of},
};
use serde::Deserialize;
use serde_json::Value;
use service_kit::clock;
use tokio::time::timeout;
use tracing::debug;

use super::{
    Context, Socket, call_commands, call_events, commands,
    context::CONNECT_DECISION_TIMEOUT,
    delivery,
    recovery::{self, Brought, Recovery},
    reply::Reply,
    seats,
    session::Resumed,
    socket::Validity,
    sweeper::{self, EXPIRY_NOTICE_S},
    typing_commands,
    users::Presence,
};
use crate::{
    auth::{Identity, behind_scheme},
    failure::Failure,
    metrics,
    revocations::Verdict,
    socketio::{Accept, Args, CloseReason, Connect, Emitter, Refuse},
    views,
};

#[derive(Deserialize)]
struct Credentials {
    token: String,
}

/// What `auth` holds. The client itself adds `pid` and `offset`; malformed ones count as none. `recovery` is the app's
/// word, and a malformed one is refused as a malformed token is: the app would be given arguments that its handlers do
/// not take.
#[derive(Deserialize)]
struct Auth {
    token: String,
    /// False: no pid, and no cursor in any event.
    recovery: Option<bool>,
    pid: Option<Value>,
    offset: Option<Value>,
}

impl Auth {
    fn brought(&self) -> Brought<'_> {
        Brought { pid: self.pid.as_ref().and_then(Value::as_str), offset: self.offset.as_ref().and_then(Value::as_str) }
    }
}

/// Decides a CONNECT.
pub(super) async fn connect(context: &Arc<Context>, request: Connect<'_>) -> Result<Accept<Socket>, Refuse> {
    if request.namespace != "/" {
        return Err(Refuse::InvalidNamespace);
    }
    let auth = serde_json::from_str::<Auth>(request.auth).map_err(|_| refusal(Code::Unauthenticated))?;
    let decision = timeout(CONNECT_DECISION_TIMEOUT, async {
        let (user, token) = admit(context, &auth.token).await?;
        let presence = seats::seat(context, context.users.enter(user), auth.brought().pid)?;
        let user = Arc::clone(presence.user());
        if let Err(error) = context.inboxes.subscribed(&user.id, user.sid).await {
            // One line for each client that waits would say no more.
            debug!(%error, "a CONNECT cannot be decided");
            return Err(Refuse::Close);
        }
        // Heads are read after the inbox is subscribed, and what it hears from here on is counted, so that nothing falls
        // between them: the socket itself hears nothing before it is connected.
        let heard = user.heard();
        let brought = affordable(context, &user.id, auth.brought());
        let recovery = match auth.recovery {
            Some(false) => None,
            _ => Some(recovery::recover(context, &user.id, brought).await.map_err(|_| Refuse::Close)?),
        };
        Ok(open(request.emitter, presence, token, recovery.map(|recovery| (recovery, heard))))
    });
    decision.await.unwrap_or(Err(Refuse::Close))
}

/// What a client brings back, without its place if the user has read too much lately: then it starts anew, and pages.
fn affordable<'a>(context: &Context, user: &UserId, brought: Brought<'a>) -> Brought<'a> {
    match context.limits.may_read(user.as_str(), Instant::now()) {
        Ok(()) => brought,
        Err(_) => Brought { offset: None, ..brought },
    }
}

fn open(emitter: Emitter, presence: Presence, token: Validity, recovery: Option<(Recovery, u64)>) -> Accept<Socket> {
    let Some((Recovery { pid, replaces, chats, closed, untold }, heard)) = recovery else {
        return Accept { socket: Socket::new(emitter, None, presence, token), pid: None };
    };
    emitter.restore_sid(&pid.sid());
    let told = pid.as_str().to_owned();
    let socket = Socket::new(emitter, Some(pid), presence, token);
    if let Some(replaces) = replaces {
        socket.session().restore(chats, Resumed { replaces, closed, untold, heard });
    }
    Accept { socket, pid: Some(told) }
}

async fn admit(context: &Context, token: &str) -> Result<(UserId, Validity), Refuse> {
    identify(context, token).await.map_err(|failure| match failure.code {
        // What cannot be decided now closes the transport, so that the client comes back.
        Code::Unavailable => Refuse::Close,
        code => refusal(code),
    })
}

/// The user that a token speaks for; `Bearer ` may stand before it. A service token is no user's.
async fn identify(context: &Context, token: &str) -> Result<(UserId, Validity), Failure> {
    let token = behind_scheme(token).unwrap_or(token);
    let Identity::User { id, issued_at_ms, expires_at_s } = context.authenticator.authenticate(token).await? else {
        return Err(Code::Unauthenticated.into());
    };
    match context.revocations.judge(&id, issued_at_ms).await {
        Verdict::Valid => Ok((id, Validity { issued_at_ms, expires_at_s })),
        Verdict::Revoked => Err(Code::Unauthenticated.into()),
        Verdict::Undecided => Err(Failure::unavailable()),
    }
}

pub(super) fn refusal(code: Code) -> Refuse {
    metrics::rejected(code);
    let data = serde_json::json!({ "code": code.as_str() });
    Refuse::Error { message: code.message().to_owned(), data: Some(views::to_json(&data)) }
}

/// The socket is open: from now on it hears what its user hears, also a call that rings already.
pub(super) fn connected(context: &Arc<Context>, socket: &Arc<Socket>) {
    metrics::connected();
    debug!(user_id = %socket.user_id(), sid = socket.emitter.sid(), "connected");
    delivery::silence_all(socket);
    socket.presence.user().add(socket);
    watch_token(context, socket);
    if socket.emitter.is_closed() {
        return;
    }
    let earlier = socket.session().resumed.as_ref().map(|resumed| resumed.replaces.clone());
    if let Some(earlier) = earlier.filter(|earlier| socket.pid.as_ref() != Some(earlier)) {
        return call_commands::take_over(context, socket, earlier.sid());
    }
    recovery::replay(context, socket);
    let (of, socket) = (Arc::clone(context), Arc::clone(socket));
    context.lifecycle.spawn(async move {
        // Signaling repeats what it says of a call, so that one look is enough.
        if let Ok(Some(call)) = of.services.get_call(Of::UserId(socket.user_id().to_string())).await {
            show_call(&of, &socket, call);
        }
    });
}

/// Shows a socket its user's live call: it keeps the lease of one that it takes part in, and is told what it may have
/// missed.
pub(super) fn show_call(context: &Arc<Context>, socket: &Arc<Socket>, call: Call) {
    call_commands::keep_lease(context, socket, &call);
    tell_of_call(socket, call);
}

/// Does for a new token what a moment earlier would have been done for all sockets.
fn watch_token(context: &Context, socket: &Socket) {
    let token = socket.token();
    // A revocation may have come between the check and this moment.
    if context.revocations.check(socket.user_id(), token.issued_at_ms) == Verdict::Revoked {
        return socket.emitter.disconnect_transport();
    }
    if token.expires_at_s - clock::unix_ms() / 1_000 < EXPIRY_NOTICE_S {
        sweeper::give_notice(socket);
    }
}

/// Tells a socket of its user's live call what it may have missed: that it rings, or that it was accepted.
fn tell_of_call(socket: &Socket, call: Call) {
    let change = match call.state() {
        CallState::Ringing if call.callee == socket.user_id().as_str() => {
            Change::Incoming(Incoming { caller: call.caller, media: call.media, expires_at_ms: call.expires_at_ms })
        }
        // The caller's device may have been away when the other accepted.
        CallState::Active if call.caller_device == socket.device() => {
            Change::Accepted(Accepted { signal: call.accepted_with })
        }
        _ => return,
    };
    let Call { call_id, match_id, version, .. } = call;
    let change = Some(change);
    call_events::give(
        socket,
        &CallChanged { call_id, match_id, version, only_device: None, except_device: None, change },
    );
}

/// The socket is gone.
pub(super) fn disconnected(context: &Arc<Context>, socket: &Arc<Socket>, reason: CloseReason) {
    // One whose connection broke just as it was accepted was never counted.
    socket.presence.leave_seat();
    if socket.presence.user().remove(socket) {
        metrics::disconnected(reason.as_str());
    }
    debug!(user_id = %socket.user_id(), sid = socket.emitter.sid(), reason = reason.as_str(), "disconnected");
    for mut chat in socket.session().leave_all() {
        typing_commands::stop(context, socket.user_id(), &mut chat);
    }
}

/// Handles a `refresh_token`: the connection lives on with the new token.
pub(super) fn refresh_token(context: &Arc<Context>, socket: &Arc<Socket>, args: Args<'_>, reply: Reply) {
    let Credentials { token } = match commands::argument(args) {
        Ok(credentials) => credentials,
        Err(failure) => return reply.fail(&failure),
    };
    let (of, socket) = (Arc::clone(context), Arc::clone(socket));
    context.lifecycle.spawn(async move {
        match renew(&of, &socket, &token).await {
            Ok(expires_at) => reply.ok(&views::to_json(&serde_json::json!({ "ok": true, "expiresAt": expires_at }))),
            Err(failure) => reply.fail(&failure),
        }
    });
}

async fn renew(context: &Context, socket: &Socket, token: &str) -> Result<String, Failure> {
    let (user, token) = identify(context, token).await?;
    if user != *socket.user_id() {
        return Err(Code::Unauthenticated.into());
    }
    socket.renew(token);
    watch_token(context, socket);
    Ok(clock::rfc3339(token.expires_at_s * 1_000))
}

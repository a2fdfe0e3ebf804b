//! While a device is a party of a live call, its lease is kept alive.

use std::time::Duration;

use proto::{
    Code, MatchId,
    inbox::{
        CallChanged,
        call_changed::{Change, Ended},
    },
    signaling::{Call, CallRequest, CallState, call_request as request, call_request::Command},
};

use crate::{
    call_changed,
    failure::Failure,
    output::{Ask, CallFor, Output, Timer},
    socket_state::SocketState,
    step::{Limits, Step},
};

/// A party's lease is renewed this often; signaling lets it lapse after three of these.
const RENEW_INTERVAL: Duration = Duration::from_secs(15);
/// When a call is gone, its end is told by then: signaling repeats it for 3 s.
const END_TOLD_WITHIN: Duration = Duration::from_secs(4);
/// The reason of an end that nobody knows more of.
const CONNECTION_LOST: &str = "connection_lost";

/// A socket has learned of a call: it keeps the lease if it is a party.
pub(crate) fn keep<L: Limits>(socket: &mut SocketState<L::Ticket>, call: &Call, step: &mut Step<'_, L>) {
    let Ok(chat) = MatchId::new(call.match_id.as_str()) else { return };
    if call.state() == CallState::Ended {
        return socket.calls.release(&call.call_id);
    }
    let device = socket.name.device();
    let is_party = call.caller_device == device || call.callee_device.as_deref() == Some(&device);
    if is_party && socket.calls.lease(&call.call_id, &chat, call.version) {
        // The first one at once: a device that has come back may have little left of its lease.
        renew(socket, &call.call_id, &chat, step);
    }
}

/// Renews the lease, while there is one.
pub(crate) fn renew<L: Limits>(socket: &SocketState<L::Ticket>, call_id: &str, chat: &MatchId, step: &mut Step<'_, L>) {
    if socket.calls.is_leased(call_id) && !socket.is_gone {
        let command = Command::Renew(request::Renew {});
        let request = request_of(socket, (chat, Some(call_id.to_owned())), command, step);
        let lease = CallFor::Lease(call_id.to_owned(), chat.clone());
        step.ask(Ask::Call(socket.id, lease, chat.clone(), Box::new(request)));
    }
}

/// The lease was renewed, or not.
pub(crate) fn renewed<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    (call_id, chat): (String, MatchId),
    renewed: &Result<Call, Failure>,
    step: &mut Step<'_, L>,
) {
    let (pause, timer) = match renewed {
        Err(Failure { code: Code::CallStateConflict, .. }) => return socket.calls.release(&call_id),
        Err(Failure { code: Code::CallNotFound, .. }) => (END_TOLD_WITHIN, Timer::CallIsLost(socket.id, call_id, chat)),
        _ => (RENEW_INTERVAL, Timer::Renew(socket.id, call_id, chat)),
    };
    step.out.push(Output::After(pause, timer));
}

/// The call is gone and its end was not told, as after a loss of Redis: the device hears that it is over.
pub(crate) fn tell_lost<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    call_id: String,
    chat: &MatchId,
    step: &mut Step<'_, L>,
) {
    if !socket.calls.is_leased(&call_id) {
        return;
    }
    let ended = Ended { signal: None, reason: CONNECTION_LOST.to_owned() };
    let lost = CallChanged {
        call_id,
        match_id: chat.as_str().to_owned(),
        // Nothing that is heard of it later is news.
        version: i64::MAX,
        change: Some(Change::Ended(ended)),
        ..CallChanged::default()
    };
    call_changed::give(socket, &lost, step);
}

/// A command of this device, for signaling.
pub(crate) fn request_of<L: Limits>(
    socket: &SocketState<L::Ticket>,
    (chat, call_id): (&MatchId, Option<String>),
    command: Command,
    step: &Step<'_, L>,
) -> CallRequest {
    CallRequest {
        match_id: chat.as_str().to_owned(),
        user_id: step.user.as_str().to_owned(),
        device: socket.name.device(),
        call_id,
        deadline_ms: 0,
        command: Some(command),
    }
}

//! Calls, as a socket that has just connected is told of them: the live one, and what it missed.

use std::time::Duration;

use proto::{
    inbox::{
        CallChanged,
        call_changed::{Accepted, Change, Incoming},
    },
    signaling::{
        Call, CallState, GetCallResponse,
        get_call_request::{Of, OfDevice},
    },
};

use crate::{
    call_changed,
    failure::Failure,
    lease,
    mistake::{self, Mistake},
    output::{Ask, CallFor, Output, Timer},
    socket_state::SocketState,
    step::{Limits, Step},
};

/// How often it is asked again, while signaling does not answer: for four minutes.
const MAX_TRIES: u32 = 8;
/// The first pause; each following one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Asks for the live call of a socket's user, and for what its device may have missed of calls.
pub(crate) fn find<L: Limits>(socket: &SocketState<L::Ticket>, tries: u32, step: &mut Step<'_, L>) {
    if socket.is_gone || mistake::is_planted(Mistake::ForgetEnds) {
        return;
    }
    let device = OfDevice {
        user_id: step.user.to_string(),
        device: socket.name.device(),
        heard_of: socket.calls.brought().map(str::to_owned),
    };
    step.ask(Ask::FindCall(socket.id, CallFor::Newcomer(tries), Of::OfDevice(device)));
}

/// Tells a socket what it missed of calls, and shows it the live one. Without an answer it is asked again: nobody
/// repeats an end for long.
pub(crate) fn found<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    found: Result<GetCallResponse, Failure>,
    (tries, step): (u32, &mut Step<'_, L>),
) {
    let Ok(GetCallResponse { call, told }) = found else {
        if tries < MAX_TRIES {
            let pause = FIRST_PAUSE.saturating_mul(2_u32.pow(tries)).mul_f64(0.5 + step.at.part() / 2.0);
            step.out.push(Output::After(pause, Timer::FindCalls(socket.id, tries + 1)));
        }
        return;
    };
    for missed in &told {
        call_changed::give(socket, missed, step);
    }
    if let Some(call) = call {
        show(socket, call, step);
    }
}

/// Shows a socket its user's live call: it keeps the lease of one that it takes part in, and is told what it may have
/// missed.
pub(crate) fn show<L: Limits>(socket: &mut SocketState<L::Ticket>, call: Call, step: &mut Step<'_, L>) {
    lease::keep(socket, &call, step);
    tell(socket, call, step);
}

/// Tells what the socket may have missed: that the call rings, or that it was accepted.
fn tell<L: Limits>(socket: &mut SocketState<L::Ticket>, call: Call, step: &mut Step<'_, L>) {
    let change = match call.state() {
        CallState::Ringing if call.callee == step.user.as_str() => {
            Change::Incoming(Incoming { caller: call.caller, media: call.media, expires_at_ms: call.expires_at_ms })
        }
        // The caller's device may have been away when the other accepted.
        CallState::Active if call.caller_device == socket.name.device() => {
            Change::Accepted(Accepted { signal: call.accepted_with })
        }
        _ => return,
    };
    let Call { call_id, match_id, version, .. } = call;
    let change = Some(change);
    let changed = CallChanged { call_id, match_id, version, only_device: None, except_device: None, change };
    call_changed::give(socket, &changed, step);
}

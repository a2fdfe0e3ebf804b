//! The user's live call, as a socket that has just connected is shown it.

use proto::{
    inbox::{
        CallChanged,
        call_changed::{Accepted, Change, Incoming},
    },
    signaling::{Call, CallState},
};

use crate::{
    call_changed, lease,
    socket_state::SocketState,
    step::{Limits, Step},
};

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

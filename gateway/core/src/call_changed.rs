//! `CallChanged`: a step of a call. Each socket hears it once, and only what is meant for its device.

use proto::{
    MatchId,
    client::{both, event},
    inbox::{CallChanged, call_changed::Change},
    rfc3339,
};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    mistake::{self, Mistake},
    output::Event,
    socket_state::SocketState,
    step::{Limits, Step},
    views,
};

/// `video_call_incoming`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Incoming<'a> {
    call_id: &'a str,
    match_id: &'a str,
    caller: &'a str,
    media: &'a RawValue,
    expires_at: String,
}

/// `video_call_accepted`, `video_call_rejected` and `video_call_ended`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallStep<'a> {
    call_id: &'a str,
    match_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// Gives the user's sockets a step of a call. True if a socket has it. Only the gateway that holds the addressed device
/// answers a signal, so silence means that no device has it.
pub(crate) fn hear<L: Limits>(
    sockets: &mut [SocketState<L::Ticket>],
    changed: &CallChanged,
    step: &mut Step<'_, L>,
) -> bool {
    let mut taken = false;
    for socket in sockets {
        taken |= give(socket, changed, step);
    }
    taken
}

/// Gives a socket a step of a call, unless it is for another device or was given before.
pub(crate) fn give<L: Limits>(
    socket: &mut SocketState<L::Ticket>,
    changed: &CallChanged,
    step: &mut Step<'_, L>,
) -> bool {
    let (Ok(chat), Some(change)) = (MatchId::new(changed.match_id.as_str()), &changed.change) else { return false };
    if !is_for(socket, changed) {
        return false;
    }
    // Signals have no version: each is relayed, and none is repeated.
    let is_signal = matches!(change, Change::Signaled(_));
    let is_again = !is_signal && !socket.calls.is_news(&changed.call_id, &chat, changed.version);
    if is_again && !mistake::is_planted(Mistake::CallsAgain) {
        return false;
    }
    if matches!(change, Change::Rejected(_) | Change::Ended(_)) {
        socket.calls.release(&changed.call_id);
    }
    let event = event_of(changed, change);
    let cursor = if is_signal { String::new() } else { socket.cursor() };
    step.emit(socket.id, Event { cursor, ..event });
    true
}

fn is_for<T>(socket: &SocketState<T>, changed: &CallChanged) -> bool {
    if changed.only_device.is_none() && changed.except_device.is_none() {
        return true;
    }
    let device = socket.name.device();
    let is_own = |named: &str| named == device || socket.takes_over(named);
    changed.only_device.as_deref().is_none_or(is_own) && !changed.except_device.as_deref().is_some_and(is_own)
}

fn event_of(changed: &CallChanged, change: &Change) -> Event {
    let (call_id, match_id) = (changed.call_id.as_str(), changed.match_id.as_str());
    let step = |name, signal: Option<&String>, reason: Option<&String>| {
        let signal = signal.map(|signal| views::raw(signal));
        let reason = reason.map(String::as_str);
        Event::new(name, views::to_json(&CallStep { call_id, match_id, signal, reason }))
    };
    match change {
        Change::Incoming(incoming) => {
            let view = Incoming {
                call_id,
                match_id,
                caller: &incoming.caller,
                media: incoming.media.as_deref().map_or(RawValue::NULL, views::raw),
                expires_at: rfc3339::write(incoming.expires_at_ms),
            };
            Event::new(event::VIDEO_CALL_INCOMING, views::to_json(&view))
        }
        Change::Accepted(accepted) => step(both::VIDEO_CALL_ACCEPTED, accepted.signal.as_ref(), None),
        Change::Rejected(rejected) => {
            step(both::VIDEO_CALL_REJECTED, rejected.signal.as_ref(), rejected.reason.as_ref())
        }
        Change::Ended(ended) => step(both::VIDEO_CALL_ENDED, ended.signal.as_ref(), Some(&ended.reason)),
        Change::Signaled(signaled) => Event::new(event::VIDEO_CALL_SIGNAL, signaled.payload.clone()),
    }
}

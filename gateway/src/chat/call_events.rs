//! What a socket hears of calls: each step once, and only what is meant for this device.

use proto::{
    MatchId,
    client::{both, event},
    inbox::{CallChanged, call_changed::Change},
};
use serde::Serialize;
use serde_json::value::RawValue;
use service_kit::clock;

use super::{Socket, session::Session};
use crate::{socketio::Packet, views};

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
struct Step<'a> {
    call_id: &'a str,
    match_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// Gives a socket a step of a call, unless it is for another device or was given before. True if the socket has it queued.
pub(super) fn give(socket: &Socket, changed: &CallChanged) -> bool {
    let (Ok(chat), Some(change)) = (MatchId::new(changed.match_id.as_str()), &changed.change) else { return false };
    let mut session = socket.session();
    if !is_for(socket.device(), &session, changed) {
        return false;
    }
    // Signals have no version: each is relayed, and none is repeated.
    let is_signal = matches!(change, Change::Signaled(_));
    if !is_signal && !session.calls.is_news(&changed.call_id, &chat, changed.version) {
        return false;
    }
    if matches!(change, Change::Rejected(_) | Change::Ended(_)) {
        session.calls.release(&changed.call_id);
    }
    socket.emitter.send(&packet(changed, change)).is_ok()
}

fn is_for(device: &str, session: &Session, changed: &CallChanged) -> bool {
    let is_own = |named: &str| named == device || session.takes_over(named);
    changed.only_device.as_deref().is_none_or(is_own) && !changed.except_device.as_deref().is_some_and(is_own)
}

fn packet(changed: &CallChanged, change: &Change) -> Packet {
    let (call_id, match_id) = (changed.call_id.as_str(), changed.match_id.as_str());
    let step = |name, signal: Option<&String>, reason: Option<&String>| {
        let signal = signal.map(|signal| views::raw(signal));
        Packet::event(name, &views::to_json(&Step { call_id, match_id, signal, reason: reason.map(String::as_str) }))
    };
    match change {
        Change::Incoming(incoming) => {
            let view = Incoming {
                call_id,
                match_id,
                caller: &incoming.caller,
                media: incoming.media.as_deref().map_or(RawValue::NULL, views::raw),
                expires_at: clock::rfc3339(incoming.expires_at_ms),
            };
            Packet::event(event::VIDEO_CALL_INCOMING, &views::to_json(&view))
        }
        Change::Accepted(accepted) => step(both::VIDEO_CALL_ACCEPTED, accepted.signal.as_ref(), None),
        Change::Rejected(rejected) => {
            step(both::VIDEO_CALL_REJECTED, rejected.signal.as_ref(), rejected.reason.as_ref())
        }
        Change::Ended(ended) => step(both::VIDEO_CALL_ENDED, ended.signal.as_ref(), Some(&ended.reason)),
        Change::Signaled(signaled) => Packet::event(event::VIDEO_CALL_SIGNAL, &signaled.payload),
    }
}

#[cfg(test)]
mod tests {
    use proto::UserId;

    use super::*;
    use crate::chat::{pid::Pid, session::Resumed};

    fn changed(only: Option<&str>, except: Option<&str>) -> CallChanged {
        let (only_device, except_device) = (only.map(str::to_owned), except.map(str::to_owned));
        CallChanged { only_device, except_device, ..CallChanged::default() }
    }

    #[test]
    fn a_socket_that_takes_over_hears_what_is_meant_for_the_earlier_device_until_it_has() {
        let pid = Pid::from_random([7; 16], &UserId::new("alice").unwrap());
        let earlier = pid.sid();
        let mut session = Session::default();
        let hears = |session: &Session| {
            let for_each = [Some("new"), Some(&*earlier), Some("other")];
            (
                for_each.map(|only| is_for("new", session, &changed(only, None))),
                for_each.map(|except| is_for("new", session, &changed(None, except))),
            )
        };
        assert_eq!(hears(&session), ([true, false, false], [false, true, true]));
        session.restore(vec![], Resumed { replaces: pid, closed: vec![], untold: vec![], heard: 0 });
        assert_eq!(hears(&session), ([true, true, false], [false, false, true]));
    }
}

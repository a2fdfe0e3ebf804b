//! Who is told what of a call. Pure: it follows from the call alone, so any replica can repeat it.

use proto::{
    UserId,
    inbox::{
        CallChanged,
        call_changed::{Accepted, Change, Ended, Incoming, Rejected, Signaled},
    },
};

use crate::call::{Call, Device, End, Reason, State};

/// What the callee's other devices are told when one accepted.
const ANSWERED_ELSEWHERE: &str = "answered_elsewhere";

/// An event for the devices of one user.
#[derive(Debug, Clone, PartialEq)]
pub struct Announcement {
    /// Whose devices.
    pub to: UserId,
    /// What they are told.
    pub event: CallChanged,
}

/// Which of a user's devices.
enum Devices<'a> {
    All,
    Only(&'a Device),
    AllBut(Option<&'a str>),
}

/// What the call's last change means to both sides.
pub fn of(call: &Call) -> Vec<Announcement> {
    let caller = |change| announcement(call, &call.caller, Devices::Only(&call.caller_device), change);
    let callee = |devices, change| announcement(call, &call.callee, devices, change);
    match &call.state {
        State::Ringing => vec![callee(Devices::All, incoming(call))],
        State::Active(signal) => {
            let accepted_on = call.callee_device.as_ref().map(|device| device.name.as_str());
            let elsewhere = Ended { signal: None, reason: ANSWERED_ELSEWHERE.to_owned() };
            vec![
                caller(Change::Accepted(Accepted { signal: signal.clone() })),
                callee(Devices::AllBut(accepted_on), Change::Ended(elsewhere)),
            ]
        }
        State::Ended(end) if end.reason == Reason::Declined => {
            let reason = Some(end.told_reason().to_owned());
            let declined_on = end.by.as_ref().map(|(_, device)| device.as_str());
            vec![
                caller(Change::Rejected(Rejected { signal: end.signal.clone(), reason })),
                callee(Devices::AllBut(declined_on), ended(end, &call.callee)),
            ]
        }
        State::Ended(end) => {
            let callee_devices = call.callee_device.as_ref().map_or(Devices::All, Devices::Only);
            vec![caller(ended(end, &call.caller)), callee(callee_devices, ended(end, &call.callee))]
        }
    }
}

/// The client's own signal for the other party's device; `None` when that has none.
pub fn relay(call: &Call, from: &UserId, payload: String) -> Option<Announcement> {
    let to = call.other_than(from);
    let device = call.device_of(to)?;
    let mut relayed = announcement(call, to, Devices::Only(device), Change::Signaled(Signaled { payload }));
    // Every signal is new: there is no version to tell a repeat by.
    relayed.event.version = 0;
    Some(relayed)
}

fn incoming(call: &Call) -> Change {
    let (caller, media) = (call.caller.to_string(), call.media.clone());
    Change::Incoming(Incoming { caller, media, expires_at_ms: call.expires_at_ms })
}

fn ended(end: &End, to: &UserId) -> Change {
    let own = end.by.as_ref().is_some_and(|(user, _)| user == to.as_str());
    let signal = if own { None } else { end.signal.clone() };
    Change::Ended(Ended { signal, reason: end.told_reason().to_owned() })
}

fn announcement(call: &Call, to: &UserId, devices: Devices<'_>, change: Change) -> Announcement {
    let (only_device, except_device) = match devices {
        Devices::All => (None, None),
        Devices::Only(device) => (Some(device.name.clone()), None),
        Devices::AllBut(name) => (None, name.map(str::to_owned)),
    };
    let event = CallChanged {
        call_id: call.id.to_string(),
        match_id: call.match_id.to_string(),
        version: call.version,
        change: Some(change),
        only_device,
        except_device,
    };
    Announcement { to: to.clone(), event }
}

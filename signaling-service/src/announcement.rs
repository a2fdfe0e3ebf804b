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
#[derive(Clone, Copy)]
enum Devices<'a> {
    All,
    Only(&'a Device),
    AllBut(Option<&'a str>),
}

/// What the call's last change means to both sides.
pub fn of(call: &Call) -> Vec<Announcement> {
    let to_caller = |change| announcement(call, &call.caller, Devices::Only(&call.caller_device), change);
    let to_callee_devices = |devices, change| announcement(call, &call.callee, devices, change);
    match &call.state {
        State::Ringing => vec![to_callee_devices(Devices::All, incoming(call))],
        State::Active(signal) => {
            let mut told = vec![to_caller(Change::Accepted(Accepted { signal: signal.clone() }))];
            told.extend(answered_elsewhere(call));
            told
        }
        State::Ended(end) if end.reason == Reason::Declined => {
            let reason = Some(end.told_reason().to_owned());
            let declined_on = end.by.as_ref().map(|(_, device)| device.as_str());
            vec![
                to_caller(Change::Rejected(Rejected { signal: end.signal.clone(), reason })),
                to_callee_devices(Devices::AllBut(declined_on), ended(end, &call.callee)),
            ]
        }
        State::Ended(end) => {
            let callee_devices = call.callee_device.as_ref().map_or(Devices::All, Devices::Only);
            vec![to_caller(ended(end, &call.caller)), to_callee_devices(callee_devices, ended(end, &call.callee))]
        }
    }
}

/// What the call as it stands means to devices that were away: once it was answered, the callee's other devices learn
/// that also after its end.
pub fn missed(call: &Call) -> Vec<Announcement> {
    let elsewhere = answered_elsewhere(call).filter(|_| !call.is_live()).map(|mut told| {
        // As it was told then: between the answer and the end of a call nothing else changes it.
        told.event.version -= 1;
        told
    });
    of(call).into_iter().chain(elsewhere).collect()
}

/// The callee's devices on which the call was not answered: it rings no more.
fn answered_elsewhere(call: &Call) -> Option<Announcement> {
    let accepted_on = &call.callee_device.as_ref()?.name;
    let ended = Change::Ended(Ended { signal: None, reason: ANSWERED_ELSEWHERE.to_owned() });
    Some(announcement(call, &call.callee, Devices::AllBut(Some(accepted_on)), ended))
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

#[cfg(test)]
mod tests {
    use proto::{MatchId, ids::CallId};

    use super::*;
    use crate::call::{Actor, Command, Timing};

    const TIMING: Timing = Timing { ring_ms: 45_000, lease_ms: 45_000, max_call_ms: 3_600_000 };

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    fn ringing() -> Call {
        let ids = (CallId::new("c-1").unwrap(), MatchId::new("demo").unwrap());
        let alice = user("alice");
        let caller = Actor { user: &alice, device: "a-phone" };
        Call::ringing(ids, caller, user("bob"), Some("{}".to_owned()), (&TIMING, 0))
    }

    fn after(call: &Call, who: &str, device: &str, command: &Command) -> Call {
        call.decide(Actor { user: &user(who), device }, command, &TIMING, 10).unwrap().unwrap()
    }

    fn accepted() -> Call {
        after(&ringing(), "bob", "b-phone", &Command::Accept { signal: Some("1".to_owned()) })
    }

    fn hang_up() -> Command {
        Command::End { signal: Some("2".to_owned()), reason: None }
    }

    /// Whose devices are told what: `bob`, `bob on b-phone`, `bob but on b-phone`.
    fn told(call: &Call) -> Vec<(String, Change)> {
        let told = of(call).into_iter().map(|Announcement { to, event }| {
            assert_eq!((event.version, event.call_id.as_str()), (call.version, "c-1"));
            let devices = match (event.only_device, event.except_device) {
                (Some(device), None) => format!("{to} on {device}"),
                (None, Some(device)) => format!("{to} but on {device}"),
                _ => to.to_string(),
            };
            (devices, event.change.unwrap())
        });
        told.collect()
    }

    fn to(devices: &str, change: Change) -> (String, Change) {
        (devices.to_owned(), change)
    }

    fn end(signal: Option<&str>, reason: &str) -> Change {
        Change::Ended(Ended { signal: signal.map(str::to_owned), reason: reason.to_owned() })
    }

    #[test]
    fn a_ring_reaches_all_devices_of_the_callee() {
        let incoming = Incoming { caller: "alice".to_owned(), media: Some("{}".to_owned()), expires_at_ms: 45_000 };
        assert_eq!(told(&ringing()), [to("bob", Change::Incoming(incoming))]);
    }

    #[test]
    fn an_acceptance_reaches_the_caller_and_ends_the_ringing_elsewhere() {
        let accepted_with = Change::Accepted(Accepted { signal: Some("1".to_owned()) });
        assert_eq!(
            told(&accepted()),
            [to("alice on a-phone", accepted_with), to("bob but on b-phone", end(None, "answered_elsewhere"))]
        );
    }

    #[test]
    fn a_rejection_reaches_the_caller_and_ends_the_ringing_elsewhere() {
        let reject = Command::Reject { signal: None, reason: Some("in a meeting".to_owned()) };
        let rejected = Change::Rejected(Rejected { signal: None, reason: Some("in a meeting".to_owned()) });
        assert_eq!(
            told(&after(&ringing(), "bob", "b-phone", &reject)),
            [to("alice on a-phone", rejected), to("bob but on b-phone", end(None, "in a meeting"))]
        );
    }

    #[test]
    fn the_end_of_ringing_reaches_all_devices_of_the_callee() {
        let expect = |signal, reason| [to("alice on a-phone", end(None, reason)), to("bob", end(signal, reason))];
        assert_eq!(told(&after(&ringing(), "alice", "a-phone", &hang_up())), expect(Some("2"), "cancelled"));
        assert_eq!(told(&ringing().lapsed(45_000).unwrap()), expect(None, "no_answer"));
        assert_eq!(told(&ringing().closed(10).unwrap()), expect(None, "match_closed"));
    }

    #[test]
    fn the_end_of_an_accepted_call_reaches_its_two_devices() {
        assert_eq!(
            told(&after(&accepted(), "bob", "b-phone", &hang_up())),
            [to("alice on a-phone", end(Some("2"), "completed")), to("bob on b-phone", end(None, "completed"))]
        );
    }

    #[test]
    fn a_signal_reaches_the_other_device_without_a_version() {
        let relayed = relay(&accepted(), &user("alice"), "3".to_owned()).unwrap();
        assert_eq!((relayed.to, relayed.event.version), (user("bob"), 0));
        assert_eq!(relayed.event.only_device.as_deref(), Some("b-phone"));
        assert_eq!(relayed.event.change, Some(Change::Signaled(Signaled { payload: "3".to_owned() })));
        assert_eq!(relay(&ringing(), &user("alice"), String::new()), None);
    }
}

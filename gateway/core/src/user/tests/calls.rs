//! Call commands in their order, and what a device hears of calls.

use proto::{
    inbox::{
        CallChanged,
        call_changed::{Change, Ended, Incoming, Signaled},
    },
    signaling::{
        Call, CallRequest, CallState, GetCallResponse,
        call_request::Command,
        get_call_request::{Of, OfDevice},
    },
};

use super::*;

fn call(state: CallState, caller_device: &str) -> Call {
    Call {
        call_id: "c".into(),
        match_id: "m".into(),
        caller: "alice".into(),
        callee: "bob".into(),
        state: state.into(),
        caller_device: caller_device.into(),
        version: 1,
        ..Call::default()
    }
}

/// The call was found that a command is about.
fn found(socket: SocketId, call: Call) -> Answer {
    Answer::CallFound(socket, CallFor::Command, Ok(GetCallResponse { call: Some(call), told: vec![] }))
}

fn changed(version: i64, change: Change) -> CallChanged {
    let (call_id, match_id) = ("c".into(), "m".into());
    CallChanged { call_id, match_id, version, change: Some(change), ..CallChanged::default() }
}

/// The command that was asked for last.
fn asked(alice: &mut Alice) -> (CallFor, CallRequest) {
    match alice.out.pop() {
        Some(Output::Ask(Ask::Call(_, of, _, request))) => (of, *request),
        other => panic!("{other:?}"),
    }
}

#[test]
fn call_commands_go_one_after_the_other() {
    let mut alice = Alice::new();
    let socket = alice.connects(1);
    alice.out.clear();
    alice.emits(socket, "video_call_request", r#"{"matchId":"m"}"#, 1);
    alice.emits(socket, "video_call_ended", r#"{"matchId":"m"}"#, 2);
    let (of, request) = asked(&mut alice);
    assert!(matches!(request.command, Some(Command::Ring(_))));
    assert_eq!(alice.put_out(), [""; 0]);
    alice.answered(Answer::Called(socket, of, Err(Code::MilestoneRequired.into())));
    let (of, request) = asked(&mut alice);
    assert!(matches!(request.command, Some(Command::End(_))));
    assert_eq!(alice.put_out(), ["rejected", "ack 1 MILESTONE_REQUIRED"]);
    alice.answered(Answer::Called(socket, of, Ok(call(CallState::Ended, ""))));
    assert_eq!(alice.put_out(), ["ack 2"]);
    assert!(alice.core.sockets[0].queues.is_none());
}

#[test]
fn signals_behind_one_that_nobody_took_fail_with_it() {
    let mut alice = Alice::new();
    let socket = alice.connects(1);
    alice.out.clear();
    alice.emits(socket, "video_call_request", r#"{"matchId":"m"}"#, 1);
    for ack in 2..5 {
        alice.emits(socket, "video_call_signal", r#"{"callId":"c"}"#, ack);
    }
    let (of, _) = asked(&mut alice);
    alice.answered(Answer::Called(socket, of, Ok(call(CallState::Active, "other"))));
    assert_eq!(alice.put_out(), ["ack 1", "find call"]);
    alice.answered(found(socket, call(CallState::Active, "other")));
    let (of, _) = asked(&mut alice);
    alice.answered(Answer::Called(socket, of, Err(Failure::unavailable())));
    let failed = |ack| ["rejected".to_owned(), format!("ack {ack} UNAVAILABLE")];
    assert_eq!(alice.put_out(), [2, 3, 4].map(failed).concat());
}

#[test]
fn somebody_elses_call_is_no_call() {
    let mut alice = Alice::new();
    let socket = alice.connects(1);
    alice.emits(socket, "video_call_signal", r#"{"callId":"c"}"#, 1);
    alice.out.clear();
    let of_others = Call { caller: "carol".into(), ..call(CallState::Active, "") };
    alice.answered(found(socket, of_others));
    assert_eq!(alice.put_out(), ["rejected", "ack 1 CALL_NOT_FOUND"]);
}

#[test]
fn a_party_keeps_its_lease_until_the_call_is_gone_and_then_hears_of_the_end_once() {
    let mut alice = Alice::new();
    let socket = alice.connects(1);
    alice.out.clear();
    alice.emits(socket, "video_call_request", r#"{"matchId":"m"}"#, 1);
    let (of, _) = asked(&mut alice);
    let device = pid(1).sid();
    alice.answered(Answer::Called(socket, of, Ok(call(CallState::Ringing, &device))));
    assert_eq!(alice.put_out(), ["call", "ack 1"]);
    let lease = || CallFor::Lease("c".into(), chat("m"));
    alice.answered(Answer::Called(socket, lease(), Ok(call(CallState::Active, &device))));
    let renew = alice.timer();
    alice.wakes(renew);
    assert_eq!(alice.put_out(), ["call"]);
    alice.answered(Answer::Called(socket, lease(), Err(Code::CallNotFound.into())));
    let lost = alice.timer();
    alice.wakes(lost);
    assert_eq!(alice.put_out(), ["video_call_ended"]);
    alice.hears(Inbox::CallChanged(changed(3, Change::Ended(Ended::default()))));
    assert_eq!(alice.put_out(), [""; 0]);
}

#[test]
fn a_step_of_a_call_is_told_once_and_a_signal_as_often_as_it_comes() {
    let mut alice = Alice::new();
    alice.connects(1);
    alice.out.clear();
    let ended = || Inbox::CallChanged(changed(2, Change::Ended(Ended::default())));
    assert_eq!([alice.hears(ended()), alice.hears(ended())], [true, false]);
    let signal = || Inbox::CallChanged(changed(0, Change::Signaled(Signaled { payload: "{}".into() })));
    assert_eq!([alice.hears(signal()), alice.hears(signal())], [true, true]);
    assert_eq!(alice.put_out(), ["video_call_ended", "video_call_signal", "video_call_signal"]);
}

#[test]
fn a_socket_that_takes_over_hears_what_is_meant_for_the_earlier_device_until_it_has() {
    let mut alice = Alice::new();
    let socket = alice.connects_with(Recovery::anew(pid(2), Some(pid(1))));
    assert_eq!(alice.put_out(), ["publish to alice: replaced", "find call"]);
    let for_device = |byte| {
        let signal = changed(0, Change::Signaled(Signaled { payload: "{}".into() }));
        Inbox::CallChanged(CallChanged { only_device: Some(pid(byte).sid()), ..signal })
    };
    let hears = |alice: &mut Alice| [1, 2, 3].map(|byte| alice.hears(for_device(byte)));
    assert_eq!(hears(&mut alice), [true, true, false]);
    // Its own commands wait until it has taken over.
    alice.out.clear();
    alice.emits(socket, "video_call_ended", r#"{"matchId":"m"}"#, 1);
    assert_eq!(alice.put_out(), [""; 0]);
    let own = call(CallState::Active, &pid(1).sid());
    alice.answered(found(socket, own));
    let (of, request) = asked(&mut alice);
    assert!(matches!(request.command, Some(Command::TakeOver(_))));
    alice.answered(Answer::Called(socket, of, Ok(call(CallState::Active, &pid(2).sid()))));
    // The lease, what the caller may have missed, and then its command.
    assert_eq!(alice.put_out(), ["call", "video_call_accepted", "call"]);
    assert_eq!(hears(&mut alice), [false, true, false]);
}

#[test]
fn a_socket_that_takes_over_waits_for_the_take_over_before_it() {
    let mut alice = Alice::new();
    let socket = alice.connects_with(Recovery::anew(pid(3), Some(pid(2))));
    alice.out.clear();
    // The earlier socket has not taken the call from the one before it yet.
    let of_device = |byte| found(socket, call(CallState::Active, &pid(byte).sid()));
    alice.answered(of_device(1));
    let again = alice.timer();
    alice.wakes(again);
    assert_eq!(alice.put_out(), ["find call"]);
    alice.answered(of_device(2));
    let (_, request) = asked(&mut alice);
    assert!(matches!(request.command, Some(Command::TakeOver(_))));
}

#[test]
fn a_socket_that_takes_over_leaves_a_call_on_another_device_where_it_is() {
    let mut alice = Alice::new();
    let socket = alice.connects_with(Recovery::anew(pid(3), Some(pid(2))));
    alice.out.clear();
    let elsewhere = || found(socket, call(CallState::Active, &pid(1).sid()));
    for _ in 0..3 {
        alice.answered(elsewhere());
        let again = alice.timer();
        alice.wakes(again);
        assert_eq!(alice.put_out(), ["find call"]);
    }
    alice.answered(elsewhere());
    assert_eq!(alice.put_out(), [""; 0]);
    assert!(alice.core.sockets[0].queues.is_none());
}

/// The question of a socket that has just connected.
fn asked_what_was_missed(alice: &mut Alice) -> (CallFor, Of) {
    match alice.out.pop() {
        Some(Output::Ask(Ask::FindCall(_, of, which))) => (of, which),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_device_that_was_away_is_told_the_end_and_another_gateway_repeats_nothing() {
    let mut alice = Alice::new();
    let offset = format!("2~{}~one~!c:1", pid(1).tag());
    let brought = Brought::read(&alice.id, Some(pid(1).as_str()), Some(&offset));
    let recovery = brought.recover(&alice.id, (&[], epoch()), pid(99));
    let socket = alice.connects_with(recovery);
    let (of, which) = asked_what_was_missed(&mut alice);
    let Of::OfDevice(device) = which else { panic!("{which:?}") };
    assert_eq!((device.device, device.heard_of.as_deref()), (pid(1).sid(), Some("c")));
    alice.out.clear();
    // The ring is repeated, and was told at the other gateway.
    assert!(!alice.hears(Inbox::CallChanged(changed(1, Change::Incoming(Incoming::default())))));
    let ended = changed(2, Change::Ended(Ended::default()));
    let found = GetCallResponse { call: None, told: vec![ended.clone()] };
    alice.answered(Answer::CallFound(socket, of, Ok(found)));
    let [Output::Emit(_, event)] = &alice.out[..] else { panic!("{:?}", alice.out) };
    assert_eq!((event.name, event.cursor.clone()), ("video_call_ended", format!("2~{}~one~!c:2", pid(1).tag())));
    assert!(!alice.hears(Inbox::CallChanged(ended)));
}

#[test]
fn what_was_missed_of_calls_is_asked_again_while_signaling_does_not_answer() {
    let mut alice = Alice::new();
    let socket = alice.connects(1);
    let mut tries = 0;
    loop {
        let (of, _) = asked_what_was_missed(&mut alice);
        alice.answered(Answer::CallFound(socket, of, Err(Failure::unavailable())));
        tries += 1;
        let Some(Output::After(_, timer)) = alice.out.pop() else { break };
        alice.wakes(timer);
    }
    assert_eq!(tries, 9);
}

#[test]
fn a_device_that_lost_its_cursor_is_told_the_end_of_its_call_too() {
    let mut alice = Alice::new();
    let socket = alice.connects_with(Recovery::anew(pid(2), Some(pid(1))));
    let (of, which) = asked_what_was_missed(&mut alice);
    assert!(matches!(which, Of::OfDevice(OfDevice { device, .. }) if device == pid(1).sid()));
    alice.out.clear();
    let ended = CallChanged { only_device: Some(pid(1).sid()), ..changed(2, Change::Ended(Ended::default())) };
    alice.answered(Answer::CallFound(socket, of, Ok(GetCallResponse { call: None, told: vec![ended.clone()] })));
    assert_eq!(alice.put_out(), ["video_call_ended"]);
    assert!(!alice.hears(Inbox::CallChanged(ended)));
}

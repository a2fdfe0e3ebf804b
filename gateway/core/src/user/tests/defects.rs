//! Defects of the core itself: a panic costs one event, and leaves no turn taken.

use super::*;
use crate::mistake::{Mistake, plant};

/// Does something with a mistake planted.
fn with(mistake: Mistake, act: impl FnOnce()) {
    plant(Some(mistake));
    act();
    plant(None);
}

#[test]
fn an_event_whose_handler_panics_is_answered_and_the_next_one_is_handled() {
    let mut alice = Alice::new();
    let socket = alice.connects(1);
    alice.out.clear();
    for mistake in [Mistake::PanicInEvent, Mistake::PanicInTurn] {
        for name in ["send_message", "join_chat", "leave_chat", "typing"] {
            with(mistake, || {
                alice.emits(socket, name, r#"{"matchId":"m","message":"hi","isTyping":true}"#, 1);
            });
            assert_eq!(alice.put_out(), ["rejected", "ack 1 INTERNAL"], "{name}");
        }
    }
    alice.sends(socket, "a", 2);
    assert_eq!(alice.put_out(), ["send a"]);
}

#[test]
fn an_answer_whose_handler_panics_is_passed_on_as_a_failure_and_the_turn_is_over() {
    let mut alice = Alice::new();
    let socket = alice.connects(1);
    alice.sends(socket, "a", 1);
    alice.sends(socket, "b", 2);
    let turn = alice.send_asked();
    alice.out.clear();
    with(Mistake::PanicInAnswer, || alice.answered(Answer::Sent(turn, stored(&[1]))));
    // Nobody knows what the socket was given. Its client comes back and says so.
    assert_eq!(alice.put_out(), ["rejected", "ack 1 INTERNAL", "close", "send b"]);
}

#[test]
fn a_call_command_whose_answer_panics_is_answered_and_the_next_one_goes() {
    let mut alice = Alice::new();
    let socket = alice.connects(1);
    alice.emits(socket, "video_call_request", r#"{"matchId":"m"}"#, 1);
    alice.emits(socket, "video_call_ended", r#"{"matchId":"m"}"#, 2);
    alice.out.clear();
    let answer = Answer::Called(socket, CallFor::Command, Err(Failure::unavailable()));
    with(Mistake::PanicInAnswer, || alice.answered(answer));
    assert_eq!(alice.put_out(), ["rejected", "ack 1 INTERNAL", "call"]);
}

#[test]
fn an_event_of_the_inbox_that_panics_costs_the_connections_that_may_have_been_given_it() {
    let mut alice = Alice::new();
    let (phone, laptop) = (alice.connects(1), alice.connects(2));
    alice.joins(phone, "m", 0);
    alice.joins(laptop, "m", 0);
    with(Mistake::PanicInInbox, || alice.hears_messages(&[1], "bob", None));
    assert_eq!(alice.put_out(), ["close", "close"]);
}

#[test]
fn without_a_callback_a_failure_is_an_event_with_what_the_command_named() {
    let mut alice = Alice::new();
    let socket = alice.connects(1);
    alice.out.clear();
    let argument = r#"{"matchId":"m","message":"hi","clientId":"c1"}"#;
    let event = ClientEvent { name: "send_message", arguments: [Some(argument), None], ack: None, is_invalid: false };
    with(Mistake::PanicInEvent, || alice.step(|core, step| core.client_event(socket, &event, step)));
    let [Output::Rejected(_), Output::Emit(_, failed)] = &alice.out[..] else { panic!("{:?}", alice.out) };
    assert_eq!(failed.name, "message_error");
    assert!(failed.json().ends_with(r#""matchId":"m","clientId":"c1"}"#), "{}", failed.json());
}

//! Typing after a message of one's own, and the end of what others type.

use proto::inbox::{MatchClosed, TypingChanged};

use super::*;
use crate::output::Patience;

/// A socket that has joined and was acked its message 1, which has not come around; and the origin of its messages.
fn sent(alice: &mut Alice) -> (SocketId, Option<u64>) {
    let socket = alice.connects(1);
    alice.joins(socket, "m", 0);
    alice.sends(socket, "a", 1);
    let Some(Output::Ask(Ask::Send { turn, request, .. })) = alice.out.pop() else { panic!() };
    alice.answered(Answer::Sent(turn, stored(&[1])));
    alice.out.clear();
    (socket, request.origin)
}

#[test]
fn typing_after_a_message_waits_until_the_message_has_come_around() {
    let mut alice = Alice::new();
    let (socket, origin) = sent(&mut alice);
    alice.emits(socket, "typing", r#"{"matchId":"m","isTyping":true}"#, 2);
    assert_eq!(alice.put_out(), ["after 500 ms"]);
    alice.hears_messages(&[1], "alice", origin);
    assert_eq!(alice.put_out(), ["publish to bob: typing", "ack 2"]);
}

#[test]
fn it_waits_no_longer_than_half_a_second_and_happens_once() {
    let mut alice = Alice::new();
    let (socket, origin) = sent(&mut alice);
    alice.emits(socket, "typing", r#"{"matchId":"m","isTyping":true}"#, 2);
    alice.emits(socket, "leave_chat", "\"m\"", 3);
    let first = alice.timer();
    alice.wakes(first.clone());
    let second = alice.timer();
    assert_eq!(alice.put_out(), ["publish to bob: typing", "ack 2"]);
    alice.wakes(first);
    assert_eq!(alice.put_out(), [""; 0]);
    alice.hears_messages(&[1], "alice", origin);
    assert_eq!(alice.put_out(), ["publish to bob: typing no more", "ack 3", "chat_left"]);
    alice.wakes(second);
    assert_eq!(alice.put_out(), [""; 0]);
}

#[test]
fn the_closing_of_the_match_ends_the_wait() {
    let mut alice = Alice::new();
    let (socket, _) = sent(&mut alice);
    alice.emits(socket, "typing", r#"{"matchId":"m","isTyping":true}"#, 2);
    alice.out.clear();
    alice.hears(Inbox::MatchClosed(MatchClosed { match_id: "m".into(), rev: 1, after_seq: 0 }));
    assert_eq!(alice.put_out(), ["match_closed", "rejected", "ack 2 MATCH_CLOSED"]);
}

#[test]
fn that_the_user_has_stopped_is_told_only_to_whom_it_was_told_that_the_user_types() {
    let mut alice = Alice::new();
    let socket = alice.connects(1);
    alice.joins(socket, "m", 0);
    alice.emits(socket, "typing", r#"{"matchId":"m","isTyping":false}"#, 1);
    assert_eq!(alice.put_out(), ["ack 1"]);
    alice.emits(socket, "typing", "\"m\"", 2);
    let Some(Output::Publish(_, _, Patience::None(Some((of, chat))))) = alice.out.first() else { panic!() };
    let (of, chat) = (*of, chat.clone());
    alice.out.clear();
    alice.core.typing_was_not_told(of, &chat);
    alice.emits(socket, "typing", r#"{"matchId":"m","isTyping":false}"#, 3);
    assert_eq!(alice.put_out(), ["ack 3"]);
}

#[test]
fn a_typist_is_shown_until_a_message_comes_or_six_seconds_have_passed() {
    let mut alice = Alice::new();
    let socket = alice.connects(1);
    alice.joins(socket, "m", 0);
    let types = || Inbox::TypingChanged(TypingChanged { match_id: "m".into(), user_id: "bob".into(), is_typing: true });
    alice.hears(types());
    assert_eq!(alice.put_out(), ["user_typing"]);
    alice.hears_messages(&[1], "bob", None);
    assert_eq!(alice.put_out(), ["user_typing", "receive_message 1"]);
    assert!(!alice.core.has_typists());
    alice.hears(types());
    alice.out.clear();
    alice.at.now += Duration::from_secs(6);
    alice.step(User::expire_typists);
    assert_eq!(alice.put_out(), ["user_typing"]);
    assert!(!alice.core.has_typists());
}

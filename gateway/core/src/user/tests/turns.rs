//! The order of one socket's commands.

use super::*;

#[test]
fn sends_go_one_request_after_the_other_and_those_that_wait_go_together() {
    let mut alice = Alice::new();
    let socket = alice.connects(1);
    alice.out.clear();
    for (client_id, ack) in [("a", 1), ("b", 2), ("c", 3)] {
        alice.sends(socket, client_id, ack);
    }
    let turn = alice.send_asked();
    assert_eq!(alice.put_out(), ["send a"]);
    alice.answered(Answer::Sent(turn, stored(&[1])));
    let turn = alice.send_asked();
    assert_eq!(alice.put_out(), ["ack 1 1", "send b c"]);
    alice.answered(Answer::Sent(turn, stored(&[2, 3])));
    assert_eq!(alice.put_out(), ["ack 2 2", "ack 3 3"]);
}

#[test]
fn a_request_whose_outcome_is_unknown_is_answered_so_and_the_next_one_goes() {
    let mut alice = Alice::new();
    let socket = alice.connects(1);
    alice.sends(socket, "a", 1);
    alice.sends(socket, "b", 2);
    let turn = alice.send_asked();
    alice.out.clear();
    alice.answered(Answer::Sent(turn, SendReply::default()));
    assert_eq!(alice.put_out(), ["rejected", "ack 1 UNAVAILABLE", "send b"]);
}

#[test]
fn what_was_emitted_before_a_connection_is_lost_is_stored_and_no_chat_is_opened_any_more() {
    let mut alice = Alice::new();
    let socket = alice.connects(1);
    alice.sends(socket, "a", 1);
    alice.sends(socket, "b", 2);
    alice.emits(socket, "join_chat", "\"m\"", 3);
    let turn = alice.send_asked();
    assert!(alice.step(|core, step| core.disconnected(socket, step)));
    alice.out.clear();
    alice.answered(Answer::Sent(turn, stored(&[1])));
    let turn = alice.send_asked();
    assert_eq!(alice.put_out(), ["ack 1 1", "send b"]);
    alice.answered(Answer::Sent(turn, stored(&[2])));
    assert_eq!(alice.put_out(), ["ack 2 2"]);
    assert!(alice.core.gone.is_none(), "nothing is kept of the socket");
}

#[test]
fn a_socket_without_commands_keeps_no_queues() {
    let mut alice = Alice::new();
    let socket = alice.connects(1);
    alice.joins(socket, "m", 0);
    alice.emits(socket, "typing", r#"{"matchId":"m","isTyping":true}"#, 1);
    alice.emits(socket, "leave_chat", "\"m\"", 2);
    assert_eq!(
        alice.put_out(),
        ["publish to bob: typing", "ack 1", "publish to bob: typing no more", "ack 2", "chat_left"]
    );
    assert!(alice.core.sockets[0].queues.is_none());
}

#[test]
fn commands_that_cannot_be_read_are_refused_and_take_no_turn() {
    let mut alice = Alice::new();
    let socket = alice.connects(1);
    alice.out.clear();
    let names =
        ["send_message", "join_chat", "leave_chat", "typing", "video_call_request", "refresh_token", "nonsense"];
    for name in names {
        alice.emits(socket, name, r#"{"matchId":"a b"}"#, 1);
        assert_eq!(alice.put_out(), ["rejected", "ack 1 INVALID_PAYLOAD"], "{name}");
    }
    assert!(alice.core.sockets[0].queues.is_none());
}

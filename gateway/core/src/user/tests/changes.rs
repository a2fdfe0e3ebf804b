//! Messages that are changed after they were stored.

use proto::{
    Code,
    chat::{Change, Deleted, Edited, change::Kind},
    inbox::{MatchChanged, MessageHidden},
};

use super::*;
use crate::message_command::MessageDone;

fn hears_edit(alice: &mut Alice, rev: i64, after_seq: i64, body: &str) {
    let kind = Kind::Edited(Edited { seq: 1, actor: "bob".into(), body: body.into() });
    let change = Change { rev, after_seq, created_at_ms: 0, kind: Some(kind) };
    alice.hears(Inbox::MatchChanged(MatchChanged { match_id: "m".into(), change: Some(change) }));
}

fn turn(alice: &Alice) -> TurnId {
    let asked = alice.out.iter().find_map(|output| match output {
        Output::Ask(Ask::Change { turn, .. }) => Some(*turn),
        _ => None,
    });
    asked.unwrap()
}

#[test]
fn commands_to_a_match_go_one_after_the_other() {
    let mut alice = Alice::new();
    let socket = alice.connects(1);
    alice.out.clear();
    let edit = |text: &str| format!(r#"{{"matchId":"m","seq":1,"message":"{text}"}}"#);
    alice.emits(socket, "edit_message", &edit("once"), 1);
    let first = turn(&alice);
    assert_eq!(alice.put_out(), ["change m 1"]);
    alice.emits(socket, "edit_message", &edit("twice"), 2);
    alice.emits(socket, "react", r#"{"matchId":"m","seq":2,"emoji":"👍","on":true}"#, 3);
    assert_eq!(alice.put_out(), [""; 0]);
    let done = Answer::Changed(first, Ok(MessageDone { rev: Some(4), duplicate: false }));
    alice.step(|core, step| core.answered(done, step));
    let second = turn(&alice);
    assert_eq!(alice.put_out(), ["ack 1 1", "change m 1"]);
    // Who is gone has asked for it all the same.
    alice.step(|core, step| core.disconnected(socket, step));
    let refused = Answer::Changed(second, Err(Code::WindowPassed.into()));
    alice.step(|core, step| core.answered(refused, step));
    assert_eq!(alice.put_out(), ["rejected", "ack 2 WINDOW_PASSED", "change m 2"]);
}

#[test]
fn a_change_of_a_message_is_told_behind_the_message_to_who_has_joined() {
    let mut alice = Alice::new();
    let socket = alice.connects(1);
    alice.joins(socket, "m", 0);
    alice.connects(2);
    alice.out.clear();
    hears_edit(&mut alice, 1, 1, "\"x\"");
    assert_eq!(alice.put_out(), ["after 200 ms"]);
    alice.hears_messages(&[1], "bob", None);
    assert_eq!(alice.put_out(), ["receive_message 1", "message_changed 1", "inbox_updated 1"]);
    hears_edit(&mut alice, 1, 1, "\"x\"");
    assert_eq!(alice.put_out(), [""; 0], "once");
}

#[test]
fn an_edit_that_is_read_after_the_deletion_is_told_by_that_alone() {
    let mut alice = Alice::new();
    let socket = alice.connects(1);
    alice.joins(socket, "m", 1);
    alice.out.clear();
    hears_edit(&mut alice, 1, 1, "");
    assert_eq!(alice.put_out(), [""; 0]);
    let kind = Kind::Deleted(Deleted { seq: 1, actor: "bob".into() });
    let change = Change { rev: 2, after_seq: 1, created_at_ms: 0, kind: Some(kind) };
    alice.hears(Inbox::MatchChanged(MatchChanged { match_id: "m".into(), change: Some(change) }));
    let Output::Emit(_, event) = &alice.out[0] else { panic!("{:?}", alice.out) };
    assert_eq!(event.json(), r#"{"matchId":"m","rev":2,"kind":"deleted","afterSeq":1,"seq":1,"by":"bob"}"#);
    assert!(event.cursor.contains("~m:1:2"), "{}", event.cursor);
}

#[test]
fn what_the_user_hides_is_told_to_the_users_sockets_that_have_joined() {
    let mut alice = Alice::new();
    let socket = alice.connects(1);
    alice.joins(socket, "m", 1);
    alice.connects(2);
    alice.out.clear();
    alice.hears(Inbox::MessageHidden(MessageHidden { match_id: "m".into(), seq: 1 }));
    assert_eq!(alice.put_out(), ["message_changed 1"]);
}

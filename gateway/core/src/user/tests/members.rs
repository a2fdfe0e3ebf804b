//! Members who come and go: what they are told, and what others are.

use proto::{
    chat::{Change, ListChangesResponse, Membership, change::Kind},
    inbox::{MatchChanged, TypingChanged},
};

use super::*;

fn change(rev: i64, after_seq: i64, (added, removed): (&str, &str)) -> Change {
    let names = |of: &str| of.split_terminator(' ').map(str::to_owned).collect();
    let membership = Membership { added: names(added), removed: names(removed), actor: None, ..Membership::default() };
    Change { rev, after_seq, created_at_ms: 0, kind: Some(Kind::Membership(membership)) }
}

fn changed(rev: i64, after_seq: i64, of: (&str, &str)) -> Inbox {
    Inbox::MatchChanged(MatchChanged { match_id: "m".into(), change: Some(change(rev, after_seq, of)) })
}

fn joined(alice: &mut Alice) -> SocketId {
    let socket = alice.connects(1);
    alice.joins(socket, "m", 0);
    socket
}

/// A socket that has joined, and lacks the changes up to this rev: it is about to ask for them.
fn misses_changes(alice: &mut Alice, rev: i64) -> SocketId {
    let socket = joined(alice);
    let head = MatchHead { match_id: "m".into(), rev, ..MatchHead::default() };
    alice.step(|core, step| core.head(&head, step));
    let hold = alice.timer();
    alice.wakes(hold);
    socket
}

#[test]
fn who_types_is_told_to_all_who_are_members_by_then() {
    let mut alice = Alice::new();
    let socket = joined(&mut alice);
    alice.hears(changed(1, 0, ("carol dave", "bob")));
    assert_eq!(alice.put_out(), ["membership_changed"]);
    alice.emits(socket, "typing", "\"m\"", 1);
    assert_eq!(alice.put_out(), ["publish to carol dave: typing", "ack 1"]);
    alice.emits(socket, "leave_chat", "\"m\"", 2);
    assert_eq!(alice.put_out(), ["publish to carol dave: typing no more", "ack 2", "chat_left"]);
}

#[test]
fn who_is_removed_is_given_what_came_before_and_leaves_the_chat() {
    let mut alice = Alice::new();
    let socket = joined(&mut alice);
    let elsewhere = alice.connects(2);
    alice.out.clear();
    alice.hears(changed(1, 2, ("", "alice")));
    assert_eq!(alice.put_out(), ["after 200 ms", "match_closed"], "at once where nothing is to come before it");
    alice.hears_messages(&[1, 2], "bob", None);
    let updates = ["inbox_updated 1", "inbox_updated 2"];
    assert_eq!(alice.put_out(), [&["receive_message 1", "receive_message 2", "match_closed"], &updates[..]].concat());
    for socket in [socket, elsewhere] {
        alice.emits(socket, "typing", "\"m\"", 3);
        assert_eq!(alice.put_out(), ["rejected", "ack 3 NOT_JOINED"]);
    }
    alice.hears(changed(1, 2, ("", "alice")));
    assert_eq!(alice.put_out(), [""; 0], "it is told once");
    alice.hears(changed(2, 2, ("alice", "")));
    assert_eq!(alice.put_out(), ["membership_changed", "membership_changed"]);
}

#[test]
fn a_removal_that_was_missed_is_found_by_what_is_fetched() {
    for answer in [Ok(vec![change(1, 0, ("", "alice"))]), Err(Code::MatchNotFound)] {
        let mut alice = Alice::new();
        let socket = misses_changes(&mut alice, 1);
        alice.step(|core, step| core.has_room(socket, &chat("m"), step));
        assert_eq!(alice.put_out(), ["await room for m", "changes of m after 0"]);
        let page =
            answer.map(|changes| ListChangesResponse { changes, through_rev: 1, has_more: false, oldest_rev: 1 });
        alice.answered(Answer::Changes(socket, chat("m"), page.map_err(Failure::from)));
        alice.step(|core, step| core.has_room(socket, &chat("m"), step));
        assert_eq!(alice.put_out().last().unwrap(), "match_closed");
        assert_eq!(alice.core.open_chats(), []);
    }
}

#[test]
fn who_is_removed_and_added_again_in_what_was_missed_keeps_the_chat() {
    let mut alice = Alice::new();
    let socket = misses_changes(&mut alice, 2);
    for (rev, of, has_more) in [(1, ("", "alice"), true), (2, ("alice", ""), false)] {
        alice.step(|core, step| core.has_room(socket, &chat("m"), step));
        alice.out.clear();
        let page = ListChangesResponse { changes: vec![change(rev, 0, of)], through_rev: rev, has_more, oldest_rev: 1 };
        alice.answered(Answer::Changes(socket, chat("m"), Ok(page)));
        alice.step(|core, step| core.has_room(socket, &chat("m"), step));
        assert_eq!(alice.put_out()[..2], ["await room for m", "membership_changed"], "{rev}");
    }
    assert_eq!(alice.core.open_chats().len(), 1);
}

#[test]
fn a_stranger_who_was_added_since_the_question_asks_again() {
    let mut alice = Alice::new();
    let socket = misses_changes(&mut alice, 1);
    alice.step(|core, step| core.has_room(socket, &chat("m"), step));
    alice.hears(changed(2, 0, ("alice", "")));
    alice.out.clear();
    alice.answered(Answer::Changes(socket, chat("m"), Err(Code::MatchNotFound.into())));
    assert!(alice.put_out()[0].starts_with("after "));
    assert_eq!(alice.core.open_chats().len(), 1);
}

#[test]
fn what_was_held_for_a_rejoin_is_given_before_the_chat_ends() {
    let mut alice = Alice::new();
    let socket = joined(&mut alice);
    alice.emits(socket, "join_chat", "\"m\"", 1);
    let turn = alice.open_asked();
    alice.hears_messages(&[1], "bob", None);
    alice.hears(changed(1, 1, ("", "alice")));
    alice.answered(Answer::Opened(turn, Err(Code::MatchNotFound.into())));
    assert_eq!(alice.put_out()[..2], ["receive_message 1", "match_closed"]);
}

#[test]
fn a_change_that_does_not_concern_a_user_overtakes_none_that_does() {
    let mut alice = Alice::new();
    alice.connects(1);
    alice.out.clear();
    alice.hears(changed(2, 0, ("dave", "")));
    alice.hears(changed(1, 0, ("alice", "")));
    assert_eq!(alice.put_out(), ["membership_changed"]);
}

#[test]
fn a_rejoin_that_finds_the_user_a_stranger_ends_the_chat_and_another_failure_does_not() {
    for (code, left) in [(Code::MatchNotFound, 0), (Code::Unavailable, 1)] {
        let mut alice = Alice::new();
        let socket = joined(&mut alice);
        alice.emits(socket, "join_chat", "\"m\"", 1);
        let turn = alice.open_asked();
        alice.answered(Answer::Opened(turn, Err(code.into())));
        assert_eq!(alice.core.open_chats().len(), left);
        assert_eq!(alice.put_out().iter().filter(|output| *output == "match_closed").count(), 1 - left);
    }
}

#[test]
fn a_typist_who_is_removed_is_shown_no_more_and_a_late_word_of_an_earlier_change_is_none() {
    let mut alice = Alice::new();
    joined(&mut alice);
    let types = TypingChanged { match_id: "m".into(), user_id: "bob".into(), is_typing: true };
    alice.hears(Inbox::TypingChanged(types));
    alice.hears(changed(1, 0, ("", "bob")));
    assert_eq!(alice.put_out(), ["user_typing", "user_typing", "membership_changed"]);
    assert!(!alice.core.has_typists());

    let mut alice = Alice::new();
    alice.connects(1);
    alice.out.clear();
    alice.hears(changed(2, 0, ("alice", "")));
    alice.hears(changed(1, 0, ("", "alice")));
    assert_eq!(alice.put_out(), ["membership_changed"]);
}

#[test]
fn of_many_who_type_three_are_shown_and_who_is_not_shown_stops_unseen() {
    let mut alice = Alice::new();
    joined(&mut alice);
    alice.hears(changed(1, 0, ("carol dave erin", "")));
    alice.out.clear();
    let types = |alice: &mut Alice, user: &str, is_typing| {
        let (match_id, user_id) = ("m".to_owned(), user.to_owned());
        alice.hears(Inbox::TypingChanged(TypingChanged { match_id, user_id, is_typing }));
        alice.put_out()
    };
    for user in ["bob", "carol", "dave"] {
        assert_eq!(types(&mut alice, user, true), ["user_typing"]);
    }
    for is_typing in [true, false, true] {
        assert_eq!(types(&mut alice, "erin", is_typing), [""; 0]);
    }
    assert_eq!(types(&mut alice, "bob", false), ["user_typing"]);
    assert_eq!(types(&mut alice, "erin", true), ["user_typing"], "there is room");
}

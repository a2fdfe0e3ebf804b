//! Many sockets of one user.

use std::sync::Arc;

use proto::{
    chat::{Change, ListChangesResponse, Milestone, change::Kind},
    inbox::MilestoneReached,
};

use super::*;
use crate::output::Json;

#[test]
fn a_message_is_rendered_once_for_all_sockets_of_a_user_and_each_has_a_cursor_of_its_own() {
    let mut alice = Alice::new();
    let sockets: Vec<SocketId> = (0..16).map(|byte| alice.connects(byte)).collect();
    for socket in &sockets {
        alice.joins(*socket, "m", 0);
    }
    alice.hears_messages(&[1], "bob", None);
    let given: Vec<_> = std::mem::take(&mut alice.out)
        .into_iter()
        .map(|output| match output {
            Output::Emit(id, event) => (id, event),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(given.iter().map(|(id, _)| *id).collect::<Vec<_>>(), sockets);
    let Json::Message(first) = &given[0].1.json else { panic!("{given:?}") };
    for (byte, (_, event)) in (0..).zip(&given) {
        assert!(matches!(&event.json, Json::Message(posted) if Arc::ptr_eq(posted, first)));
        assert_eq!(event.cursor, format!("2~{}~one~m:1:0", pid(byte).tag()));
    }
}

#[test]
fn the_sockets_of_a_user_are_given_each_others_messages_and_none_its_own() {
    let mut alice = Alice::new();
    let (phone, laptop, watch) = (alice.connects(1), alice.connects(2), alice.connects(3));
    alice.joins(phone, "m", 0);
    alice.joins(laptop, "m", 0);
    alice.sends(phone, "a", 1);
    let Some(Output::Ask(Ask::Send { request, .. })) = alice.out.pop() else { panic!() };
    alice.hears_messages(&[1], "alice", request.origin);
    let given: Vec<_> = alice
        .out
        .iter()
        .map(|output| match output {
            Output::Emit(id, event) => (*id, event.name),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(given, [(laptop, "receive_message"), (watch, "inbox_updated")]);
}

#[test]
fn what_one_socket_does_is_nothing_to_the_others() {
    let mut alice = Alice::new();
    let (phone, laptop) = (alice.connects(1), alice.connects(2));
    alice.joins(phone, "m", 0);
    alice.joins(laptop, "m", 0);
    alice.emits(phone, "leave_chat", "\"m\"", 1);
    assert!(alice.step(|core, step| core.disconnected(phone, step)));
    assert!(!alice.step(|core, step| core.disconnected(phone, step)));
    alice.out.clear();
    alice.hears_messages(&[1], "bob", None);
    assert_eq!(alice.put_out(), ["receive_message 1"]);
    assert_eq!(alice.core.open_chats(), [chat("m")]);
}

#[test]
fn heads_are_asked_for_once_and_each_socket_is_given_the_changes_that_it_missed() {
    let mut alice = Alice::new();
    let (phone, laptop) = (alice.connects(1), alice.connects(2));
    alice.joins(phone, "m", 2);
    alice.joins(laptop, "m", 2);
    alice.step(User::compare_heads);
    assert_eq!(alice.put_out(), ["heads of m"]);
    let head = MatchHead { match_id: "m".into(), last_seq: 2, rev: 3, ..MatchHead::default() };
    alice.step(|core, step| core.head(&head, step));
    let holds = [alice.timer(), alice.timer()];
    for (socket, hold) in [phone, laptop].into_iter().zip(holds.into_iter().rev()) {
        alice.wakes(hold);
        alice.step(|core, step| core.has_room(socket, &chat("m"), step));
        assert_eq!(alice.put_out(), ["await room for m", "changes of m after 0"]);
        alice.answered(Answer::Changes(socket, chat("m"), Ok(changes())));
        alice.step(|core, step| core.has_room(socket, &chat("m"), step));
        assert_eq!(alice.put_out(), ["await room for m", "milestone_reached"]);
    }
    // Nothing is left to be fetched, and nothing is told twice.
    alice.step(|core, step| core.head(&head, step));
    let again = MilestoneReached { match_id: "m".into(), milestone: Some(milestone()) };
    alice.hears(Inbox::MilestoneReached(again));
    assert_eq!(alice.put_out(), [""; 0]);
}

fn milestone() -> Milestone {
    Milestone { rev: 2, after_seq: 1, threshold: 1, ..Milestone::default() }
}

/// A change of a kind that is not known yet, a milestone, and a rev without a change.
fn changes() -> ListChangesResponse {
    let change = |rev, kind| Change { rev, after_seq: 1, created_at_ms: 0, kind };
    let changes = vec![change(1, None), change(2, Some(Kind::Milestone(milestone())))];
    ListChangesResponse { changes, through_rev: 3, has_more: false, oldest_rev: 1 }
}

//! How far the user has read and received, and who hears of it.

use proto::{
    Code,
    chat::{GetReceiptsResponse, Position, Receipts},
    inbox::ReceiptUpdated,
};

use super::*;

fn alice() -> Alice {
    let mut alice = Alice::new();
    alice.settings.receipts = true;
    alice
}

fn stands(read_seq: i64, last_seq: i64) -> Position {
    let user_id = "alice".to_owned();
    Position { user_id, read_seq, delivered_seq: read_seq, at_ms: Some(0), last_seq, unread: last_seq - read_seq }
}

fn marked(alice: &mut Alice, position: Result<Position, Failure>) {
    alice.step(|core, step| core.answered(Answer::Marked(chat("m"), position), step));
}

fn passes(alice: &mut Alice, pause: Duration, timer: Timer) {
    alice.at.now += pause;
    alice.step(|core, step| core.wake(timer, step));
}

#[test]
fn marks_of_a_chat_are_folded_and_each_is_answered_for_itself() {
    let mut alice = alice();
    let (phone, tablet) = (alice.connects(1), alice.connects(2));
    alice.out.clear();
    let mark = |seq| format!(r#"{{"matchId":"m","seq":{seq}}}"#);
    alice.emits(phone, "mark_read", &mark(3), 1);
    assert_eq!(alice.put_out(), ["mark m [3] []"]);
    alice.emits(tablet, "mark_read", &mark(5), 2);
    alice.emits(phone, "mark_read", &mark(99), 3);
    alice.emits(phone, "mark_read", &mark(-1), 4);
    assert_eq!(alice.put_out(), ["rejected", "ack 4 INVALID_PAYLOAD"]);
    marked(&mut alice, Ok(stands(3, 7)));
    assert_eq!(alice.put_out(), ["after 1000 ms", "ack 1"]);
    passes(&mut alice, Duration::from_secs(1), Timer::Mark(chat("m")));
    assert_eq!(alice.put_out(), ["mark m [5, 99] []"]);
    marked(&mut alice, Ok(stands(5, 7)));
    assert_eq!(alice.put_out(), ["after 1000 ms", "ack 2", "rejected", "ack 3 INVALID_PAYLOAD"]);
    passes(&mut alice, Duration::from_secs(1), Timer::Mark(chat("m")));
    alice.emits(phone, "mark_read", &mark(6), 5);
    assert_eq!(alice.put_out(), ["mark m [6] []"], "after quiet at once");
    marked(&mut alice, Err(Code::MatchNotFound.into()));
    assert_eq!(alice.put_out(), ["after 1000 ms", "rejected", "ack 5 MATCH_NOT_FOUND"]);
}

#[test]
fn several_chats_are_answered_when_all_are_known() {
    let mut alice = alice();
    let socket = alice.connects(1);
    alice.out.clear();
    let chats = r#"{"chats":[{"matchId":"m","seq":3},{"matchId":"n","seq":4}]}"#;
    alice.emits(socket, "mark_delivered", chats, 1);
    assert_eq!(alice.put_out(), ["mark m [] [3]", "mark n [] [4]"]);
    marked(&mut alice, Ok(stands(3, 7)));
    assert_eq!(alice.put_out(), ["after 1000 ms"]);
    let refused = Answer::Marked(chat("n"), Err(Code::MatchNotFound.into()));
    alice.step(|core, step| core.answered(refused, step));
    let Some(Output::Ack(_, 1, json)) = alice.out.iter().find(|output| matches!(output, Output::Ack(..))) else {
        panic!("{:?}", alice.out)
    };
    assert_eq!(json, r#"{"chats":[{"deliveredSeq":3,"matchId":"m","readSeq":3,"unread":4}],"ok":true}"#);
}

#[test]
fn what_a_client_proves_is_delivered_and_it_is_asked_once_a_second() {
    let mut alice = alice();
    let socket = alice.connects(1);
    alice.joins(socket, "m", 0);
    alice.out.clear();
    alice.hears_messages(&[1], "bob", None);
    assert_eq!(alice.put_out(), ["receive_message 1", "prove"]);
    alice.hears_messages(&[2], "bob", None);
    alice.hears_messages(&[3], "bob", None);
    assert_eq!(alice.put_out(), ["receive_message 2", "receive_message 3"], "the first is not proved yet");
    alice.step(|core, step| core.proved(socket, step));
    assert_eq!(alice.put_out(), ["after 1000 ms", "mark m [] [1]"]);
    marked(&mut alice, Ok(stands(1, 3)));
    alice.out.clear();
    passes(&mut alice, Duration::from_secs(1), Timer::Prove(socket));
    assert_eq!(alice.put_out(), ["prove"]);
    passes(&mut alice, Duration::ZERO, Timer::Mark(chat("m")));
    alice.step(|core, step| core.proved(socket, step));
    assert_eq!(alice.put_out(), ["mark m [] [3]"]);
}

#[test]
fn of_ones_own_messages_nothing_is_to_be_proved() {
    let mut alice = alice();
    let socket = alice.connects(1);
    alice.joins(socket, "m", 0);
    let origin = Some(alice.core.sockets()[0].origin);
    alice.out.clear();
    alice.hears_messages(&[1], "alice", origin);
    assert_eq!(alice.put_out(), [""; 0]);
    alice.hears_messages(&[2], "bob", None);
    alice.hears_messages(&[3], "alice", origin);
    assert_eq!(alice.put_out(), ["receive_message 2", "prove"]);
}

#[test]
fn others_receipts_are_told_where_the_chat_is_open_and_ones_own_everywhere() {
    let mut alice = alice();
    let socket = alice.connects(1);
    alice.joins(socket, "m", 0);
    alice.connects(2);
    alice.out.clear();
    let updated = |user: &str| {
        let (match_id, user_id) = ("m".to_owned(), user.to_owned());
        Inbox::ReceiptUpdated(ReceiptUpdated { match_id, user_id, read_seq: 1, delivered_seq: 2, at_ms: 0 })
    };
    alice.hears(updated("bob"));
    assert_eq!(alice.put_out(), ["receipt_updated"]);
    alice.hears(updated("alice"));
    assert_eq!(alice.put_out(), ["receipt_updated", "receipt_updated"]);
}

#[test]
fn a_recovered_socket_is_told_once_how_far_the_others_have_come() {
    let mut alice = alice();
    let socket = alice.recovers(1, 5, 5);
    assert!(alice.put_out().contains(&"receipts of m".to_owned()));
    let others = vec![Position { user_id: "bob".into(), read_seq: 5, at_ms: Some(0), ..Position::default() }];
    let receipts = vec![Receipts { match_id: "m".into(), me: None, others }];
    let found = Answer::Receipts(socket, Ok(GetReceiptsResponse { receipts }));
    alice.step(|core, step| core.answered(found, step));
    assert_eq!(alice.put_out(), ["receipt_updated"]);
}

#[test]
fn turned_off_nothing_is_asked_or_taken() {
    let mut alice = Alice::new();
    let socket = alice.connects(1);
    alice.joins(socket, "m", 0);
    alice.out.clear();
    alice.hears_messages(&[1], "bob", None);
    alice.emits(socket, "mark_read", r#"{"matchId":"m","seq":1}"#, 1);
    assert_eq!(alice.put_out(), ["receive_message 1", "rejected", "ack 1 FORBIDDEN"]);
}

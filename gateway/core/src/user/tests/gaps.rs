//! Holes: in what arrives, and in what is stored.

use proto::chat::ListMessagesResponse;

use super::*;

fn page(seqs: &[i64], through: i64) -> ListMessagesResponse {
    let messages = seqs.iter().map(|seq| message(*seq, "bob", None)).collect();
    ListMessagesResponse {
        messages,
        has_more: false,
        through_seq: Some(through),
        through_rev: None,
        ..ListMessagesResponse::default()
    }
}

/// A socket that has joined an empty chat.
fn joined(alice: &mut Alice) -> SocketId {
    let socket = alice.connects(1);
    alice.joins(socket, "m", 0);
    socket
}

#[test]
fn a_message_that_overtook_another_is_held_and_the_gap_is_fetched_after_a_while() {
    let mut alice = Alice::new();
    let socket = joined(&mut alice);
    alice.hears_messages(&[2], "bob", None);
    let hold = alice.timer();
    assert_eq!(alice.put_out(), [""; 0]);
    alice.wakes(hold);
    assert_eq!(alice.put_out(), ["await room for m"]);
    alice.step(|core, step| core.has_room(socket, &chat("m"), step));
    assert_eq!(alice.put_out(), ["messages of m after 0"]);
    alice.answered(Answer::Messages(socket, chat("m"), Ok(page(&[1, 2], 2))));
    assert_eq!(alice.put_out(), ["await room for m"]);
    alice.step(|core, step| core.has_room(socket, &chat("m"), step));
    assert_eq!(alice.put_out(), ["receive_message 1", "receive_message 2"]);
    alice.hears_messages(&[2], "bob", None);
    alice.hears_messages(&[3], "bob", None);
    assert_eq!(alice.put_out(), ["receive_message 3"]);
}

#[test]
fn what_comes_late_by_itself_is_given_and_nothing_is_fetched() {
    let mut alice = Alice::new();
    joined(&mut alice);
    alice.hears_messages(&[2], "bob", None);
    let hold = alice.timer();
    alice.hears_messages(&[1], "bob", None);
    assert_eq!(alice.put_out(), ["receive_message 1", "receive_message 2"]);
    alice.wakes(hold);
    assert_eq!(alice.put_out(), [""; 0]);
}

#[test]
fn a_seq_without_a_message_stops_nothing() {
    let mut alice = Alice::new();
    let socket = joined(&mut alice);
    alice.hears_messages(&[1, 3], "bob", None);
    let hold = alice.timer();
    assert_eq!(alice.put_out(), ["receive_message 1"]);
    alice.wakes(hold);
    alice.step(|core, step| core.has_room(socket, &chat("m"), step));
    alice.out.clear();
    // 2 was taken out by hand. The page is complete up to 4, which is not there either.
    alice.answered(Answer::Messages(socket, chat("m"), Ok(page(&[3], 4))));
    alice.step(|core, step| core.has_room(socket, &chat("m"), step));
    assert_eq!(alice.put_out(), ["await room for m", "receive_message 3"]);
    alice.hears_messages(&[5], "bob", None);
    assert_eq!(alice.put_out(), ["receive_message 5"]);
}

#[test]
fn a_fetch_that_fails_is_made_again_after_pauses_and_then_left_to_the_comparison_of_heads() {
    let mut alice = Alice::new();
    let socket = joined(&mut alice);
    alice.hears_messages(&[2], "bob", None);
    let mut tries = 0;
    while let Some(Output::After(_, timer)) = alice.out.pop() {
        alice.wakes(timer);
        alice.step(|core, step| core.has_room(socket, &chat("m"), step));
        alice.out.clear();
        alice.answered(Answer::Messages(socket, chat("m"), Err(Failure::unavailable())));
        tries += 1;
    }
    assert_eq!(tries, 13);
    let head = MatchHead { match_id: "m".into(), last_seq: 2, ..MatchHead::default() };
    alice.step(|core, step| core.head(&head, step));
    assert_eq!(alice.put_out(), ["after 200 ms"]);
}

#[test]
fn what_arrives_while_a_join_reads_its_snapshot_comes_after_it_once() {
    let mut alice = Alice::new();
    let socket = alice.connects(1);
    alice.out.clear();
    alice.emits(socket, "join_chat", "\"m\"", 1);
    let turn = alice.open_asked();
    alice.hears_messages(&[3], "bob", None);
    alice.hears_messages(&[4], "bob", None);
    assert_eq!(alice.put_out(), [""; 0]);
    alice.opens(turn, "m", 3);
    assert_eq!(alice.put_out(), ["ack 1 3", "chat_joined 3", "receive_message 4"]);
}

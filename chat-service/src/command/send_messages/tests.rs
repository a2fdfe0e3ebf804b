//! A room under drafts of all kinds.

use std::collections::HashMap;

use proptest::prelude::*;
use proto::{
    ClientId, UserId,
    chat::{Message, Stored, send_result},
};

use super::*;
use crate::{
    audience::Audience,
    news::Entry,
    room::{Additions, Head},
};

fn room(last_seq: i64, closed: bool) -> Room {
    let members = ["alice", "bob"].map(|name| UserId::new(name).unwrap());
    let head = Head { last_seq, rev: 0, closed, now_ms: 1_000, members_rev: 0 };
    Room::new(MatchId::new("demo").unwrap(), head, Audience::new(members.to_vec(), 0))
}

/// The result of a draft of its own.
fn post(room: &mut Room, author: Author, draft: Draft) -> SendResult {
    let send = SendMessages { match_id: MatchId::new("demo").unwrap(), author, drafts: vec![draft] };
    send.decide(room).into_results().remove(0)
}

fn author(name: &str) -> Author {
    Author { id: UserId::new(name).unwrap(), origin: Some(1), by_rest: false }
}

fn draft(client_id: &str, body: &str) -> Draft {
    Draft { client_id: ClientId::new(client_id).unwrap(), body: body.to_owned(), names: Vec::new(), reply_to: None }
}

fn stored_row(seq: i64, sender: &str, client_id: &str, by_rest: bool) -> Row {
    let message = Message {
        match_id: "demo".to_owned(),
        seq,
        sender_id: sender.to_owned(),
        client_id: client_id.to_owned(),
        origin: None,
        body: "\"stored\"".to_owned(),
        created_at_ms: 10,
        ..Message::default()
    };
    Row::new(message, by_rest)
}

fn is_duplicate_of(result: &SendResult, seq: i64) -> bool {
    matches!(&result.result, Some(send_result::Result::Stored(stored)) if stored.duplicate && stored.seq == seq)
}

#[test]
fn a_repeat_is_told_before_a_closed_match_refuses() {
    let mut room = room(5, true);
    room.remember(stored_row(3, "alice", "a", false));
    assert!(is_duplicate_of(&post(&mut room, author("alice"), draft("a", "\"stored\"")), 3));
    assert_eq!(post(&mut room, author("alice"), draft("a", "other")), failure(Code::IdempotencyConflict));
    assert_eq!(post(&mut room, author("alice"), draft("b", "new")), failure(Code::MatchClosed));
    let (Additions { rows, repeated, .. }, moved) = room.into_additions();
    assert_eq!((rows, moved), (vec![], None));
    assert_eq!(repeated, [Entry::Message(stored_row(3, "alice", "a", false).message)]);
}

#[test]
fn who_is_no_member_any_more_is_told_what_strangers_are_told_also_of_a_repeat() {
    for closed in [false, true] {
        let mut room = room(5, closed);
        room.remember(stored_row(3, "carol", "a", false));
        for of in [draft("a", "\"stored\""), draft("b", "new")] {
            assert_eq!(post(&mut room, author("carol"), of), failure(Code::MatchNotFound));
        }
        let (additions, moved) = room.into_additions();
        assert_eq!((additions, moved), (Additions::default(), None));
    }
}

/// What REST answers of the stored row.
fn answer() -> String {
    let at = "1970-01-01T00:00:00.010Z";
    let names = r#""clientId":"a","id":"demo:3","matchId":"demo","senderId":"alice","seq":3"#;
    format!(r#"{{{names},"createdAt":"{at}","message":"stored","timestamp":"{at}"}}"#)
}

#[test]
fn an_object_is_only_what_its_sender_saved_by_rest() {
    for (sender, by_rest, names, body, is_it) in [
        ("alice", true, vec![3], answer(), true),
        ("alice", true, vec![4, 3], answer(), true),
        ("alice", true, vec![4], answer(), false),
        ("alice", true, vec![], answer(), false),
        ("alice", true, vec![3], answer().replace("stored", "other"), false),
        ("alice", false, vec![3], answer(), false),
        ("bob", true, vec![3], answer(), false),
    ] {
        let mut room = room(5, false);
        room.remember(stored_row(3, sender, "a", by_rest));
        let result = post(&mut room, author("alice"), Draft { names: names.clone(), ..draft("x", &body) });
        assert_eq!(is_duplicate_of(&result, 3), is_it, "{sender} {by_rest} {names:?} {body}");
    }
}

#[test]
fn the_client_id_decides_before_the_ids_in_the_object() {
    let mut room = room(5, false);
    room.remember(stored_row(3, "alice", "a", true));
    room.remember(stored_row(4, "alice", "b", true));
    let named = |client_id: &str| Draft { names: vec![3], ..draft(client_id, &answer()) };
    assert!(
        is_duplicate_of(&post(&mut room, author("alice"), named("a")), 3),
        "the same message under its own clientId"
    );
    assert_eq!(post(&mut room, author("alice"), named("b")), failure(Code::IdempotencyConflict));
    assert!(is_duplicate_of(&post(&mut room, author("alice"), named("new")), 3));
}

proptest! {
    /// Whatever comes in whatever order: seqs are gapless, the first body of a clientId wins, and repeats add nothing.
    #[test]
    fn the_first_of_each_client_id_wins_and_seqs_have_no_gap(
        drafts in proptest::collection::vec((0..2_usize, 0..6_u8, 0..3_u8), 0..40),
        last_seq in 0..1_000_i64,
    ) {
        let mut room = room(last_seq, false);
        let mut first: HashMap<(usize, u8), (u8, i64)> = HashMap::new();
        for (sender, client_id, body) in drafts {
            let by = author(["alice", "bob"][sender]);
            let result = post(&mut room, by, draft(&client_id.to_string(), &body.to_string()));
            let next = last_seq + 1 + i64::try_from(first.len()).unwrap();
            match first.get(&(sender, client_id)) {
                None => {
                    let is_new = |stored: &Stored| !stored.duplicate && stored.seq == next;
                    prop_assert!(matches!(&result.result, Some(send_result::Result::Stored(of)) if is_new(of)));
                    first.insert((sender, client_id), (body, next));
                }
                Some((known, seq)) if *known == body => prop_assert!(is_duplicate_of(&result, *seq)),
                Some(_) => prop_assert_eq!(result, failure(Code::IdempotencyConflict)),
            }
        }
        let (additions, moved) = room.into_additions();
        prop_assert_eq!(moved.is_some(), !first.is_empty());
        let seqs: Vec<i64> = additions.rows.iter().map(|row| row.message.seq).collect();
        prop_assert_eq!(seqs, (last_seq + 1..).take(first.len()).collect::<Vec<_>>());
    }
}

#[test]
fn a_draft_that_names_a_message_needs_locks_and_is_looked_up_by_seq_too() {
    let mut send = SendMessages {
        match_id: MatchId::new("demo").unwrap(),
        author: author("alice"),
        drafts: vec![draft("a", "1"), draft("b", "2"), draft("a", "3")],
    };
    let mut advances = Advances::default();
    assert!(send.advance(&mut advances));
    assert_eq!(advances.into_map().into_values().collect::<Vec<_>>(), [2], "one that is sent twice is stored once");
    send.drafts[1].names = vec![7, 9];
    assert!(!send.advance(&mut Advances::default()));
    let mut wanted = Wanted::default();
    send.look_up(&mut wanted);
    assert_eq!(wanted.by_client_id, [("demo", "alice", "a"), ("demo", "alice", "b")].into());
    assert_eq!(wanted.by_seq, [("demo", 7), ("demo", 9)].into());
}

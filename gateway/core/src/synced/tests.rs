//! How large an answer becomes.

use proto::chat::{BlockedUsers, Match, Message, Position, Receipts};

use super::*;

/// A match with messages of so many bytes each.
fn synced(id: &str, sizes: &[usize]) -> SyncedMatch {
    let message = |(seq, size): (i64, &usize)| Message {
        match_id: id.to_owned(),
        seq,
        body: format!("{{\"text\":\"{}\"}}", "x".repeat(*size)),
        ..Message::default()
    };
    let messages: Vec<Message> = (1..).zip(sizes).map(message).collect();
    let me = Position { unread: 3, ..Position::default() };
    SyncedMatch {
        match_id: id.to_owned(),
        r#match: Some(Match { match_id: id.to_owned(), members: vec!["a".into(), "b".into()], ..Match::default() }),
        last_message: messages.last().cloned(),
        receipts: Some(Receipts { me: Some(me), ..Receipts::default() }),
        messages,
        token: format!("after {id}"),
        ..SyncedMatch::default()
    }
}

/// What a client reads of an answer with these matches, which has to be no larger than it may.
fn answer(matches: Vec<SyncedMatch>, blocked: usize) -> serde_json::Value {
    let user_ids = (0..blocked).map(|n| format!("{n:064}")).collect();
    let response = SyncResponse {
        token: "the end".into(),
        matches,
        blocked: Some(BlockedUsers { user_ids }),
        ..SyncResponse::default()
    };
    let json = Synced { response, call: None }.json(MessageFields::Spread, Some(true));
    assert!(json.len() <= MAX_BYTES, "{}", json.len());
    serde_json::from_str(&json).unwrap()
}

#[test]
fn an_answer_that_fits_is_whole() {
    let answer =
        answer(vec![synced("one", &[10, 20]), SyncedMatch { match_id: "two".into(), ..SyncedMatch::default() }], 1);
    assert_eq!((&answer["token"], &answer["hasMore"], &answer["ok"]), (&"the end".into(), &false.into(), &true.into()));
    let one = &answer["matches"][0];
    assert_eq!((&one["state"], &one["kind"], &one["unread"]), (&"open".into(), &"pair".into(), &3.into()));
    assert_eq!((one["messages"].as_array().unwrap().len(), &one["limited"]), (2, &false.into()));
    assert_eq!(answer["matches"][1], serde_json::json!({ "matchId": "two", "state": "removed" }));
}

#[test]
fn what_does_not_fit_comes_with_the_next_one() {
    let matches = (0..20).map(|n| synced(&format!("m{n}"), &[8_000])).collect();
    let answer = answer(matches, 5_000);
    let shown = answer["matches"].as_array().unwrap().len();
    assert!((1..20).contains(&shown), "{shown}");
    assert_eq!((&answer["token"], &answer["hasMore"]), (&format!("after m{}", shown - 1).into(), &true.into()));
    assert!((1..5_000).contains(&answer["blocked"].as_array().unwrap().len()));
    assert_eq!(answer["blockedLimited"], true);
}

#[test]
fn a_match_shows_as_many_messages_as_fit_and_says_so() {
    let answer = answer(vec![synced("m", &[16_000; 50])], 0);
    let shown = &answer["matches"][0];
    assert_eq!((shown["messages"].as_array().unwrap().len(), &shown["limited"]), (1, &true.into()));
}

#[test]
fn a_match_that_is_too_large_alone_is_shown_without_its_content() {
    let mut huge = synced("m", &[10]);
    huge.r#match.as_mut().unwrap().members = (0..1_000).map(|n| format!("{n:064}")).collect();
    huge.last_message.as_mut().unwrap().body = format!("{{\"text\":\"{}\"}}", "x".repeat(40_000));
    let answer = answer(vec![huge, synced("next", &[10])], 0);
    let shown = &answer["matches"][0];
    assert_eq!((&shown["lastMessage"], &shown["limited"]), (&serde_json::Value::Null, &true.into()));
    assert_eq!(shown["members"].as_array().unwrap().len(), 1_000);
}

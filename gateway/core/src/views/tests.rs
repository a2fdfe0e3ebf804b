//! Frozen bytes of what clients see.

use std::collections::BTreeMap;

use proto::{
    chat::{Match, Message, Milestone},
    signaling::{Call, CallState},
};

use super::*;

fn saved(body: &str) -> Message {
    Message {
        match_id: "demo".into(),
        seq: 7,
        sender_id: "alice".into(),
        client_id: "c \"1\"".into(),
        origin: Some(1),
        body: body.into(),
        created_at_ms: 1_767_225_600_042,
        ..Message::default()
    }
}

fn milestone(rev: i64, unlocks: &[&str]) -> Milestone {
    Milestone {
        milestone_id: format!("m{rev}"),
        rev,
        threshold: rev * 100,
        unlocks: unlocks.iter().map(ToString::to_string).collect(),
        reached_at_ms: 1_767_225_600_000,
        after_seq: rev * 100,
    }
}

#[test]
fn a_text_message_is_frozen() {
    insta::assert_snapshot!(message(&saved(r#""hi \"there\"\u0000""#), MessageFields::Spread));
}

#[test]
fn an_object_message_is_spread_at_the_top_level_unless_it_collides() {
    let body = r#"{"_id":"m-1","content":{"a":[1,2.50]},"id":"mine","k\n\"ey":null,"seq":99,"timestamp":0}"#;
    insta::assert_snapshot!(message(&saved(body), MessageFields::Spread));
}

#[test]
fn a_nested_object_message_is_not_spread() {
    let view = message(&saved(r#"{"content":"x"}"#), MessageFields::Nested);
    insta::assert_snapshot!(view);
}

#[test]
fn a_spread_message_is_an_object_with_each_key_once() {
    let view = message(&saved(r#"{"message":1,"matchId":"other","extra":1}"#), MessageFields::Spread);
    assert_eq!(view.matches("\"matchId\"").count(), 2, "at the top and in the body: {view}");
    let parsed: serde_json::Value = serde_json::from_str(&view).unwrap();
    assert_eq!(parsed["matchId"], "demo");
    assert_eq!(parsed["extra"], 1);
}

/// The fields that a body spreads.
fn spread(body: &str) -> BTreeMap<String, serde_json::Value> {
    let fields = |fields| -> BTreeMap<String, serde_json::Value> {
        serde_json::from_str(&message(&saved(body), fields)).unwrap()
    };
    let own = fields(MessageFields::Nested);
    fields(MessageFields::Spread).into_iter().filter(|(key, value)| own.get(key) != Some(value)).collect()
}

#[test]
fn reserved_names_stay_in_the_message_however_they_are_written() {
    for name in [
        "id",
        "matchId",
        "seq",
        "senderId",
        "message",
        "clientId",
        "createdAt",
        "timestamp",
        "rev",
        "replyTo",
        "reactions",
        "editedAt",
        "deleted",
        "media",
        "kind",
        "state",
        "afterSeq",
        "__proto__",
        "__",
        "__defineGetter__",
        "$",
        "$where",
        "prototype",
        "constructor",
    ] {
        let escaped = name.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<Vec<_>>().concat();
        for key in [name.to_owned(), escaped] {
            assert!(spread(&format!(r#"{{"{key}":{{"evil":true}}}}"#)).is_empty(), "{key}");
        }
    }
}

#[test]
fn other_names_are_spread_once_each_and_only_from_the_top() {
    for name in ["_id", "_", "", "Id", "MESSAGE", "proto", "a$", "toString", "origin", "by_rest", "receivedAt", "è"] {
        let body = serde_json::json!({ name: { "__proto__": 1, "seq": 2 } }).to_string();
        assert_eq!(spread(&body).into_keys().collect::<Vec<_>>(), [name]);
    }
    assert_eq!(spread(r#"{"a":1,"a":2}"#), BTreeMap::from([("a".to_owned(), 2.into())]));
    assert!(spread(r#""a text""#).is_empty());
}

#[test]
fn a_body_that_is_no_json_shows_as_null() {
    assert!(message(&saved("{broken"), MessageFields::Spread).contains(r#""message":null"#));
}

#[test]
fn milestone_reached_is_frozen() {
    insta::assert_snapshot!(milestone_reached("demo", &milestone(1, &["video_call"])));
}

#[test]
fn milestones_unlock_each_feature_once_and_sorted() {
    let reached = [milestone(1, &["video_call", "gifts"]), milestone(2, &["video_call", "albums"])];
    assert_eq!(unlocked(&reached), ["albums", "gifts", "video_call"]);
    insta::assert_snapshot!(to_json(&MilestoneView::list(&reached)));
}

#[test]
fn a_match_is_frozen_open_and_closed() {
    let mut of = Match {
        match_id: "demo".into(),
        members: vec!["alice".into(), "bob".into()],
        last_seq: 100,
        created_at_ms: 1_767_225_600_000,
        closed_at_ms: None,
        milestones: vec![milestone(1, &["video_call"])],
        rev: 1,
        members_rev: 0,
        group: None,
    };
    let open = to_json(&MatchView::new(&of));
    of.closed_at_ms = Some(1_767_225_601_000);
    insta::assert_snapshot!(format!("{open}\n{}", to_json(&MatchView::new(&of))));
}

#[test]
fn a_call_is_frozen_with_and_without_media() {
    let mut call = Call {
        call_id: "call-1".into(),
        match_id: "demo".into(),
        caller: "alice".into(),
        callee: "bob".into(),
        state: CallState::Ringing.into(),
        media: None,
        expires_at_ms: 1_767_225_645_000,
        version: 1,
        caller_device: "socket".into(),
        callee_device: None,
        accepted_with: None,
    };
    let ringing = to_json(&CallView::new(&call));
    call.set_state(CallState::Active);
    call.media = Some(r#"{"video":true}"#.into());
    insta::assert_snapshot!(format!("{ringing}\n{}", to_json(&CallView::new(&call))));
}

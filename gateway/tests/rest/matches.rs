//! Matches: created by the app server, seen by their members.

use serde_json::json;

use crate::client::{Caller, Pair};

#[tokio::test]
async fn a_match_is_created_once_and_seen_by_both_members() {
    let pair = Pair::create().await;
    let again =
        Caller::app_server().put(&pair.path(""), &json!({ "members": [pair.members[1], pair.members[0]] })).await;
    let seen = again.ok(200);
    assert_eq!(pair.alice.get(&pair.path("")).await.ok(200), seen);
    assert_eq!(pair.bob.at_gateway(1).get(&pair.path("")).await.ok(200), seen);
    assert_eq!(seen["matchId"], pair.id);
    assert_eq!(seen["members"], json!(pair.members));
    assert_eq!((&seen["lastSeq"], &seen["closed"]), (&json!(0), &json!(false)));
    assert_eq!((&seen["milestones"], &seen["unlocked"]), (&json!([]), &json!([])));
    assert!(seen.get("closedAt").is_none());
}

#[tokio::test]
async fn a_match_keeps_its_members() {
    let pair = Pair::create().await;
    let other = Caller::app_server().put(&pair.path(""), &json!({ "members": [pair.members[0], "carol"] })).await;
    assert_eq!(other.refusal(), (409, "IDEMPOTENCY_CONFLICT".into()));
}

#[tokio::test]
async fn members_are_two_different_users() {
    let refused = [
        json!({}),
        json!({ "members": ["a"] }),
        json!({ "members": ["a", "a"] }),
        json!({ "members": ["a", "b", "c"] }),
        json!({ "members": ["a", "b.c"] }),
        json!({ "members": ["a", 7] }),
        json!({ "members": "ab" }),
        json!(["a", "b"]),
        json!([["a", "b"]]),
    ];
    for body in refused {
        let answer = Caller::app_server().put("/matches/refused", &body).await;
        assert_eq!(answer.refusal(), (400, "INVALID_PAYLOAD".into()), "{body}");
    }
}

#[tokio::test]
async fn a_user_lists_their_matches_in_pages() {
    let me = Caller::user("lister");
    let ids: Vec<String> = (0..5).map(|n| format!("listed-{n}")).collect();
    for id in &ids {
        Caller::app_server().put(&format!("/matches/{id}"), &json!({ "members": ["lister", "other"] })).await.ok(201);
    }
    let mut seen = Vec::new();
    let mut path = "/matches?limit=2".to_owned();
    loop {
        let page = me.get(&path).await.ok(200);
        seen.extend(page["matches"].as_array().unwrap().iter().map(|of| of["matchId"].as_str().unwrap().to_owned()));
        if page["hasMore"] == false {
            break;
        }
        path = format!("/matches?limit=2&after={}", seen.last().unwrap());
    }
    assert_eq!(seen, ids);
    assert_eq!(Caller::user("stranger").get("/matches").await.ok(200), json!({ "matches": [], "hasMore": false }));
}

#[tokio::test]
async fn progress_tells_what_is_missing() {
    let pair = Pair::create().await;
    pair.fill(3).await;
    let progress = pair.bob.get(&pair.path("/milestones")).await.ok(200);
    assert_eq!(progress["messageCount"], 3);
    assert_eq!((&progress["milestones"], &progress["unlocked"]), (&json!([]), &json!([])));
    assert_eq!((&progress["next"]["milestone"], &progress["next"]["remaining"]), (&json!(100), &json!(97)));
}

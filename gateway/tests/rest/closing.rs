//! Closing a match: for good, and only its members can tell.

use serde_json::json;

use crate::client::{Caller, Pair};

#[tokio::test]
async fn a_closed_match_stays_readable_for_its_members_and_takes_nothing_new() {
    let pair = Pair::create().await;
    let kept = json!({ "message": "kept", "clientId": "k" });
    let saved = pair.alice.post(&pair.path("/messages"), &kept).await.ok(201);
    for _ in 0..2 {
        assert_eq!(Caller::app_server().delete(&pair.path("")).await.status, 204);
    }
    for gateway in 0..2 {
        let alice = pair.alice.at_gateway(gateway);
        let refused = alice.post(&pair.path("/messages"), &json!({ "message": "new" })).await;
        assert_eq!(refused.refusal(), (410, "MATCH_CLOSED".into()));
        let seen = alice.get(&pair.path("")).await.ok(200);
        assert_eq!((&seen["closed"], &seen["lastSeq"]), (&json!(true), &json!(1)));
        assert!(seen["closedAt"].is_string());
        assert_eq!(alice.get(&pair.path("/messages")).await.ok(200)["messages"], json!([saved]));
        alice.get(&pair.path("/milestones")).await.ok(200);
    }
    // A repeat is looked for before the closing.
    assert_eq!(pair.alice.post(&pair.path("/messages"), &kept).await.ok(200), saved);
    let stranger = Caller::user("stranger").post(&pair.path("/messages"), &json!({ "message": "new" })).await;
    assert_eq!(stranger.refusal(), (404, "MATCH_NOT_FOUND".into()));
    let reopened = Caller::app_server().put(&pair.path(""), &json!({ "members": pair.members })).await;
    assert_eq!(reopened.refusal(), (409, "IDEMPOTENCY_CONFLICT".into()));
}

#[tokio::test]
async fn an_absent_match_cannot_be_closed() {
    let answer = Caller::app_server().delete("/matches/never-there").await;
    assert_eq!(answer.refusal(), (404, "MATCH_NOT_FOUND".into()));
}

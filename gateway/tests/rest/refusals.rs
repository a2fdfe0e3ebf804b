//! Who may do what, and what a stranger learns: nothing.

use reqwest::Method;
use serde_json::json;

use crate::client::{Answer, Caller, Pair};

async fn all_of_a_match(caller: &Caller, id: &str) -> Vec<Answer> {
    vec![
        caller.get(&format!("/matches/{id}")).await,
        caller.get(&format!("/matches/{id}/messages")).await,
        caller.post(&format!("/matches/{id}/messages"), &json!({ "message": "x" })).await,
        caller.get(&format!("/matches/{id}/milestones")).await,
    ]
}

#[tokio::test]
async fn a_strangers_match_and_an_absent_one_are_alike_to_the_byte() {
    let pair = Pair::create().await;
    pair.fill(1).await;
    let stranger = Caller::user("eve");
    let of_others = all_of_a_match(&stranger, &pair.id).await;
    let absent = all_of_a_match(&stranger, "never-there").await;
    for (other, absent) in of_others.iter().zip(&absent) {
        assert_eq!(other.refusal(), (404, "MATCH_NOT_FOUND".into()));
        assert_eq!((&other.text, other.status), (&absent.text, absent.status));
        let names = |answer: &Answer| answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(other), names(absent));
    }
    assert_eq!(pair.alice.get(&pair.path("")).await.ok(200)["lastSeq"], 1);
}

#[tokio::test]
async fn malformed_ids_are_refused() {
    let user = Caller::user("alice");
    for id in ["a.b", "*", "a%20b", "a%2Fb", "%00", "%ff", "é", &"x".repeat(65)] {
        for answer in all_of_a_match(&user, id).await {
            assert_eq!(answer.refusal(), (400, "INVALID_PAYLOAD".into()), "{id}");
        }
        let revoked = Caller::app_server().post(&format!("/users/{id}/revoke"), &json!({})).await;
        assert_eq!(revoked.refusal(), (400, "INVALID_PAYLOAD".into()), "{id}");
    }
}

#[tokio::test]
async fn a_user_is_not_the_app_server_and_the_app_server_is_no_user() {
    let (user, app_server) = (Caller::user("alice"), Caller::app_server());
    let forbidden = [
        user.put("/matches/x", &json!({ "members": ["alice", "bob"] })).await,
        user.delete("/matches/demo").await,
        user.post("/users/bob/revoke", &json!({})).await,
        app_server.get("/matches").await,
        app_server.get("/matches/demo").await,
        app_server.get("/matches/demo/messages").await,
        app_server.post("/matches/demo/messages", &json!({ "message": "x" })).await,
        app_server.get("/matches/demo/milestones").await,
    ];
    for answer in forbidden {
        assert_eq!(answer.refusal(), (403, "FORBIDDEN".into()));
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let user = Caller::user("alice");
    for path in
        ["/nowhere", "/api/v1", "/api/v1/", "/api/v1/nowhere", "/api/v1/matches/demo/nowhere", "/api/v1/matches/"]
    {
        let answer = user.send(user.request(Method::GET, path)).await;
        assert_eq!(answer.refusal(), (404, "NOT_FOUND".into()), "{path}");
    }
    for (method, path) in [(Method::PATCH, "/api/v1/matches/demo"), (Method::DELETE, "/openapi.json")] {
        let answer = user.send(user.request(method, path)).await;
        assert_eq!(answer.refusal(), (405, "METHOD_NOT_ALLOWED".into()), "{path}");
        assert!(!answer.header("allow").is_empty());
    }
}

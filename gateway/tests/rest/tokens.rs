//! Tokens: missing, bad, expired, taken back.

use std::time::{Duration, Instant};

use jsonwebtoken::{EncodingKey, Header, encode};
use reqwest::Method;
use serde_json::json;

use crate::client::{Caller, now_s, sign};

#[tokio::test]
async fn without_a_good_token_nothing_is_answered() {
    let foreign = {
        let claims = json!({ "sub": "alice", "iat": now_s(), "exp": now_s() + 60 });
        encode(&Header::default(), &claims, &EncodingKey::from_secret(b"foreign")).unwrap()
    };
    let without_sub = sign(&json!({ "iat": now_s(), "exp": now_s() + 60 }));
    let of_no_id = sign(&json!({ "sub": "a.b", "iat": now_s(), "exp": now_s() + 60 }));
    let callers = [
        Caller::nobody(),
        Caller::with_token("nonsense"),
        Caller::with_token(foreign),
        Caller::with_token(without_sub),
        Caller::with_token(of_no_id),
    ];
    for caller in callers {
        for answer in [caller.get("/matches").await, caller.delete("/matches/demo").await] {
            assert_eq!(answer.refusal(), (401, "UNAUTHENTICATED".into()));
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }
}

#[tokio::test]
async fn an_expired_token_is_told_apart() {
    let expired = sign(&json!({ "sub": "alice", "iat": now_s() - 100, "exp": now_s() - 10 }));
    let answer = Caller::with_token(expired).get("/matches").await;
    assert_eq!(answer.refusal(), (401, "TOKEN_EXPIRED".into()));
}

#[tokio::test]
async fn a_revoked_token_is_soon_refused_on_every_gateway_and_a_later_one_is_good() {
    let old = Caller::user("mallory");
    old.get("/matches").await.ok(200);
    let revoked = Caller::app_server().post("/users/mallory/revoke", &json!({})).await.ok(200);
    assert_eq!(revoked["userId"], "mallory");
    assert!(revoked["notBefore"].as_str().unwrap().ends_with('Z'));
    let deadline = Instant::now() + Duration::from_secs(5);
    for gateway in 0..2 {
        let caller = old.at_gateway(gateway);
        while caller.get("/matches").await.status == 200 {
            assert!(Instant::now() < deadline, "still accepted on gateway {gateway}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(caller.get("/matches").await.refusal(), (401, "UNAUTHENTICATED".into()));
    }
    let later = sign(&json!({ "sub": "mallory", "iat": now_s() + 2, "exp": now_s() + 60 }));
    Caller::with_token(later).get("/matches").await.ok(200);
}

#[tokio::test]
async fn of_two_authorization_headers_neither_is_believed() {
    let alice = Caller::user("alice");
    let twice = alice.request(Method::GET, "/api/v1/matches").bearer_auth(alice.token());
    assert_eq!(alice.send(twice).await.refusal(), (401, "UNAUTHENTICATED".into()));
}

//! What is demanded of a token beside a good signature: issuer, audience, a bounded life, one of several secrets.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json, value::RawValue};

use super::*;

#[tokio::test]
async fn a_demanded_issuer_and_audience_are_the_tokens() {
    let config = AuthConfig { jwt_secret: vec![SECRET.into()], ..demanding() };
    let authenticator = Authenticator::new(&config).unwrap();
    let judged = async |change: Value| {
        let mut claims = for_us();
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        authenticator.authenticate_at(&signed(&claims), NOW_S).await
    };
    for taken in [json!({}), json!({ "aud": ["other", "chat"] })] {
        assert!(is_alice(&judged(taken.clone()).await), "{taken}");
    }
    let refused = [
        json!({ "iss": null }),
        json!({ "iss": "https://issuer.example/" }),
        json!({ "iss": ["https://issuer.example"] }),
        json!({ "aud": null }),
        json!({ "aud": "Chat" }),
        json!({ "aud": [] }),
        json!({ "aud": ["other", 7] }),
        json!({ "aud": { "chat": true } }),
        // Nor is another application's app server ours, and of an expired token of it nothing is said.
        json!({ "aud": "other", "scope": "service" }),
        json!({ "aud": "other", "exp": NOW_S - 100 }),
    ];
    for change in refused {
        assert_eq!(judged(change.clone()).await, Err(AuthError::Unauthenticated), "{change}");
    }
}

#[tokio::test]
async fn a_token_may_not_live_for_longer_than_allowed() {
    const LONGEST_S: i64 = 30 * 24 * 3_600;
    assert!(is_alice(&judged(&with(&json!({ "exp": NOW_S + LONGEST_S }))).await));
    let a_moment_more: Value = serde_json::from_str(&format!("{}.001", NOW_S + LONGEST_S)).unwrap();
    for exp in [json!(NOW_S + LONGEST_S + 1), a_moment_more, json!(253_402_300_799_i64)] {
        assert_eq!(judged(&with(&json!({ "exp": exp }))).await, Err(AuthError::Unauthenticated), "{exp}");
    }
    let service = json!({ "scope": "service", "iat": NOW_S, "exp": NOW_S + LONGEST_S + 1 });
    assert_eq!(judged(&service).await, Err(AuthError::Unauthenticated));
}

#[tokio::test]
async fn during_a_rotation_tokens_of_both_secrets_are_taken() {
    let [new, old, other] = ["n", "o", "x"].map(|letter| letter.repeat(32));
    let config = AuthConfig { jwt_secret: vec![format!("{new},{old}")], ..AuthConfig::default() };
    let authenticator = Authenticator::new(&config).unwrap();
    let judged = async |secret: &str| {
        let key = EncodingKey::from_secret(secret.as_bytes());
        let token = encode(&Header::new(Algorithm::HS256), &alice(), &key).unwrap();
        authenticator.authenticate_at(&token, NOW_S).await
    };
    for secret in [&new, &old] {
        assert!(is_alice(&judged(secret).await));
    }
    assert_eq!(judged(&other).await, Err(AuthError::Unauthenticated));
}

#[tokio::test]
async fn the_time_of_issue_is_kept_to_the_millisecond() {
    let judged = judged(&with(&json!({ "iat": 1_767_225_599.25 }))).await;
    let Ok(Identity::User { issued_at_ms, .. }) = judged else { panic!("{judged:?}") };
    assert_eq!(issued_at_ms, 1_767_225_599_250);
}

#[tokio::test]
async fn a_claim_that_is_there_twice_is_refused() {
    let twice = format!(r#"{{"sub":"alice","sub":"bob","iat":{NOW_S},"exp":{}}}"#, NOW_S + 60);
    let token = encode(
        &Header::new(Algorithm::HS256),
        &RawValue::from_string(twice).unwrap(),
        &EncodingKey::from_secret(SECRET.as_bytes()),
    );
    assert_eq!(by_secret().authenticate_at(&token.unwrap(), NOW_S).await, Err(AuthError::Unauthenticated));
}

#[test]
fn the_scheme_before_a_token_is_taken_away_whatever_its_case() {
    for credentials in ["Bearer a.b.c", "bearer a.b.c", "BEARER   a.b.c "] {
        assert_eq!(behind_scheme(credentials), Some("a.b.c"), "{credentials}");
    }
    for credentials in ["a.b.c", "Bearer", "Basic a.b.c", "Bearera.b.c", "Token Bearer a.b.c", ""] {
        assert_eq!(behind_scheme(credentials), None, "{credentials}");
    }
}

//! Tokens good and bad, with fresh keys and a real key server.

mod demands;
mod issuer;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use proto::UserId;
use serde_json::{Value, json};

use self::issuer::{Issuer, KeyServer};
use super::*;

const NOW_S: i64 = 1_767_225_600;
const SECRET: &str = "a secret of the tests";

fn alice() -> Value {
    json!({ "sub": "alice", "iat": NOW_S, "exp": NOW_S + 3600 })
}

fn with(change: &Value) -> Value {
    let mut claims = alice();
    for (name, value) in change.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn without(name: &str) -> Value {
    let mut claims = alice();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

/// The demands that [`for_us`] meets.
fn demanding() -> AuthConfig {
    AuthConfig {
        jwt_issuer: Some("https://issuer.example".into()),
        jwt_audience: Some("chat".into()),
        ..AuthConfig::default()
    }
}

/// Alice's claims for an authenticator that demands an issuer and an audience.
fn for_us() -> Value {
    with(&json!({ "iss": "https://issuer.example", "aud": "chat" }))
}

fn by_secret() -> Authenticator {
    Authenticator::new(&AuthConfig { jwt_secret: vec![SECRET.into()], ..AuthConfig::default() }).unwrap()
}

fn signed(claims: &Value) -> String {
    encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

async fn judged(claims: &Value) -> Result<Identity, AuthError> {
    by_secret().authenticate_at(&signed(claims), NOW_S).await
}

fn is_alice(identity: &Result<Identity, AuthError>) -> bool {
    matches!(identity, Ok(Identity::User { id, .. }) if id.as_str() == "alice")
}

#[tokio::test]
async fn a_good_token_says_who_and_until_when() {
    let id = UserId::new("alice").unwrap();
    let expected = Identity::User { id, issued_at_ms: NOW_S * 1_000, expires_at_s: NOW_S + 3600 };
    assert_eq!(judged(&alice()).await, Ok(expected));
}

#[tokio::test]
async fn a_token_that_comes_within_the_leeway_ends_with_it() {
    for (expires_at_s, ends_at_s) in [(1, 1), (0, 5), (-4, 1)] {
        let judged = judged(&with(&json!({ "exp": NOW_S + expires_at_s }))).await;
        let Ok(Identity::User { expires_at_s, .. }) = judged else { panic!("{judged:?}") };
        assert_eq!(expires_at_s, NOW_S + ends_at_s);
    }
    assert_eq!(judged(&with(&json!({ "exp": NOW_S - 5 }))).await, Err(AuthError::Expired));
}

#[tokio::test]
async fn a_service_token_needs_no_sub_and_has_a_name_all_the_same() {
    for (sub, expected) in [(json!(null), "app-server"), (json!("client@clients"), "app-server"), (json!("crm"), "crm")]
    {
        let claims = json!({ "scope": "service", "sub": sub, "iat": NOW_S, "exp": NOW_S + 1 });
        let name = UserId::new(expected).unwrap();
        assert_eq!(judged(&claims).await, Ok(Identity::Service { name, issued_at_ms: NOW_S * 1_000 }), "{sub}");
    }
    assert_eq!(judged(&json!({ "scope": "service" })).await, Err(AuthError::Unauthenticated));
    assert!(is_alice(&judged(&with(&json!({ "scope": "chat" }))).await));
}

#[tokio::test]
async fn clocks_may_differ_by_five_seconds() {
    assert!(is_alice(&judged(&with(&json!({ "exp": NOW_S - 4 }))).await));
    assert_eq!(judged(&with(&json!({ "exp": NOW_S - 5 }))).await, Err(AuthError::Expired));
    assert!(is_alice(&judged(&with(&json!({ "iat": NOW_S + 5 }))).await));
    assert_eq!(judged(&with(&json!({ "iat": NOW_S + 6 }))).await, Err(AuthError::Unauthenticated));
    assert_eq!(judged(&with(&json!({ "nbf": NOW_S + 6 }))).await, Err(AuthError::Unauthenticated));
}

#[tokio::test]
async fn missing_and_malformed_claims_are_refused() {
    for name in ["sub", "iat", "exp"] {
        assert_eq!(judged(&without(name)).await, Err(AuthError::Unauthenticated), "{name}");
    }
    let malformed = [
        json!({ "sub": "a.b" }),
        json!({ "sub": "" }),
        json!({ "sub": "x".repeat(65) }),
        json!({ "sub": 7 }),
        json!({ "iat": "1" }),
        json!({ "sub": ["alice"] }),
        json!({ "iat": -1 }),
        json!({ "iat": 1e300 }),
        json!({ "nbf": "now" }),
        json!({ "exp": null }),
        json!({ "exp": 1e300 }),
    ];
    for change in malformed {
        assert_eq!(judged(&with(&change)).await, Err(AuthError::Unauthenticated), "{change}");
    }
    assert!(is_alice(&judged(&with(&json!({ "exp": 1_767_225_601.5 }))).await));
}

#[tokio::test]
async fn a_foreign_signature_is_refused_also_on_an_expired_token() {
    let foreign = |claims: &Value| {
        encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(b"another secret")).unwrap()
    };
    for claims in [alice(), with(&json!({ "exp": NOW_S - 100 }))] {
        let judged = by_secret().authenticate_at(&foreign(&claims), NOW_S).await;
        assert_eq!(judged, Err(AuthError::Unauthenticated));
    }
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let token = signed(&alice());
    let (unsigned, _) = token.rsplit_once('.').unwrap();
    let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", token.split('.').nth(1).unwrap());
    for text in ["", ".", "a.b.c", unsigned, &format!("{unsigned}."), &none, &"x".repeat(9000)] {
        assert_eq!(by_secret().authenticate_at(text, NOW_S).await, Err(AuthError::Unauthenticated), "{text}");
    }
}

#[tokio::test]
async fn a_token_cannot_demand_what_we_do_not_understand() {
    let header = Header { crit: Some(vec!["exp".into()]), ..Header::new(Algorithm::HS256) };
    let token = encode(&header, &alice(), &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
    assert_eq!(by_secret().authenticate_at(&token, NOW_S).await, Err(AuthError::Unauthenticated));
}

#[tokio::test]
async fn public_keys_of_three_kinds_verify() {
    for issuer in [Issuer::rsa("k"), Issuer::p256("k"), Issuer::ed25519("k")] {
        let authenticator = issuer.authenticator_by_pem();
        assert!(is_alice(&authenticator.authenticate_at(&issuer.sign(&alice()), NOW_S).await), "{issuer:?}");
        let other = Issuer::p256("k").sign(&alice());
        assert_eq!(authenticator.authenticate_at(&other, NOW_S).await, Err(AuthError::Unauthenticated));
    }
}

#[tokio::test]
async fn a_public_key_is_no_secret() {
    let issuer = Issuer::rsa("k");
    let confused = EncodingKey::from_secret(issuer.public_pem.as_bytes());
    let token = encode(&Header::new(Algorithm::HS256), &alice(), &confused).unwrap();
    let judged = issuer.authenticator_by_pem().authenticate_at(&token, NOW_S).await;
    assert_eq!(judged, Err(AuthError::Unauthenticated));
}

#[test]
fn exactly_one_source_of_keys_must_be_configured() {
    let error = |config: &AuthConfig| Authenticator::new(config).unwrap_err().to_string();
    insta::assert_snapshot!(error(&AuthConfig::default()), @"no key for tokens: give --jwt-secret, --jwt-public-key or --jwks-url");
    let two = AuthConfig { jwt_secret: vec!["s".into()], jwks_url: Some("http://k".into()), ..AuthConfig::default() };
    insta::assert_snapshot!(error(&two), @"more than one key for tokens: give only one of --jwt-secret, --jwt-public-key and --jwks-url");
    assert!(!format!("{two:?}").contains("\"s\""));
    let bad_url = AuthConfig { jwks_url: Some("nonsense".into()), ..demanding() };
    insta::assert_snapshot!(error(&bad_url), @r#"--jwks-url "nonsense" is no URL"#);
}

#[test]
fn a_key_server_needs_an_issuer_and_an_audience() {
    let [iss, aud] = ["issuer", "audience"].map(|name| Some(name.to_owned()));
    for (jwt_issuer, jwt_audience) in
        [(None, None), (iss.clone(), None), (None, aud.clone()), (iss, Some(String::new()))]
    {
        let config =
            AuthConfig { jwks_url: Some("http://k".into()), jwt_issuer, jwt_audience, ..AuthConfig::default() };
        let error = Authenticator::new(&config).unwrap_err().to_string();
        insta::allow_duplicates! {
            insta::assert_snapshot!(error, @"--jwks-url needs --jwt-issuer and --jwt-audience: the key server may sign tokens of other applications");
        }
    }
}

#[test]
fn a_private_key_or_no_key_at_all_is_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.pem");
    let error = |pem: &str| {
        std::fs::write(&path, pem).unwrap();
        let config = AuthConfig { jwt_public_key: Some(path.clone()), ..AuthConfig::default() };
        Authenticator::new(&config).unwrap_err().root_cause().to_string()
    };
    assert!(error(&Issuer::p256("k").private_pem).contains("private key"));
    assert!(error("nonsense").contains("not a public key"));
}

#[tokio::test]
async fn keys_of_a_key_server_are_found_by_their_id_and_rotate() {
    let (old, new) = (Issuer::rsa("old"), Issuer::ed25519("new"));
    let server = KeyServer::start(&[old.jwk()]).await;
    let authenticator = server.authenticator();
    assert!(is_alice(&authenticator.authenticate_at(&old.sign(&for_us()), NOW_S).await));
    assert_eq!(server.requests(), 1);

    server.publish(&[old.jwk(), new.jwk()]);
    // A made-up key id is looked up at most every few seconds.
    for _ in 0..5 {
        let unknown = authenticator.authenticate_at(&new.sign(&for_us()), NOW_S).await;
        assert_eq!(unknown, Err(AuthError::Unauthenticated));
    }
    assert_eq!(server.requests(), 1);
    assert!(is_alice(&server.authenticator().authenticate_at(&new.sign(&for_us()), NOW_S).await));
}

#[tokio::test]
async fn a_token_without_a_key_id_needs_the_only_key_of_its_algorithm() {
    let (mut first, second) = (Issuer::ed25519("first"), Issuer::ed25519("second"));
    first.kid = None;
    let only = KeyServer::start(&[first.jwk(), Issuer::p256("other").jwk()]).await;
    assert!(is_alice(&only.authenticator().authenticate_at(&first.sign(&for_us()), NOW_S).await));
    let two = KeyServer::start(&[first.jwk(), second.jwk()]).await;
    let judged = two.authenticator().authenticate_at(&first.sign(&for_us()), NOW_S).await;
    assert_eq!(judged, Err(AuthError::Unauthenticated));
}

#[tokio::test]
async fn a_key_server_cannot_make_a_secret_of_a_public_key() {
    let secret = json!({ "kty": "oct", "kid": "k", "alg": "HS256", "k": "YSBzZWNyZXQgb2YgdGhlIHRlc3Rz" });
    let for_encryption = with_field(&Issuer::p256("e").jwk(), "use", "enc");
    let server = KeyServer::start(&[secret, for_encryption]).await;
    let header = Header { kid: Some("k".into()), ..Header::new(Algorithm::HS256) };
    let token = encode(&header, &for_us(), &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
    assert_eq!(server.authenticator().authenticate_at(&token, NOW_S).await, Err(AuthError::Unauthenticated));
}

fn with_field(jwk: &Value, name: &str, value: &str) -> Value {
    let mut jwk = jwk.clone();
    jwk[name] = value.into();
    jwk
}

#[tokio::test]
async fn while_the_key_server_is_away_known_keys_count_and_others_are_undecided() {
    let (known, unknown) = (Issuer::p256("known"), Issuer::p256("unknown"));
    let mut server = KeyServer::start(&[known.jwk()]).await;
    let authenticator = server.authenticator();
    server.fail();
    let undecided = authenticator.authenticate_at(&known.sign(&for_us()), NOW_S).await;
    assert_eq!(undecided, Err(AuthError::Undecided));

    server.publish(&[known.jwk()]);
    let authenticator = server.authenticator();
    assert!(is_alice(&authenticator.authenticate_at(&known.sign(&for_us()), NOW_S).await));
    server.stop();
    assert!(is_alice(&authenticator.authenticate_at(&known.sign(&for_us()), NOW_S).await));
    let fresh = server.authenticator();
    assert_eq!(fresh.authenticate_at(&unknown.sign(&for_us()), NOW_S).await, Err(AuthError::Undecided));
}

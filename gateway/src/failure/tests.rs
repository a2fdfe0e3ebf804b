//! Frozen bytes of every face of a refusal.

use std::{collections::BTreeSet, time::Duration};

use axum::{body::to_bytes, response::IntoResponse};
use proto::{
    Code,
    chat::{self, Failure as ChatFailure},
    signaling::{CallCode, CallFailure},
};
use tonic::Status;

use super::*;

fn all() -> Vec<Failure> {
    let call = |code: CallCode| CallFailure { code: code.into(), ..CallFailure::default() };
    let busy = CallFailure { call_id: Some("call-1".into()), ..call(CallCode::Busy) };
    let elsewhere = CallFailure { elsewhere: true, ..busy.clone() };
    let missing = CallFailure { remaining: Some(7), ..call(CallCode::MilestoneRequired) };
    let rings = CallFailure { retry_after_ms: Some(59_000), ..call(CallCode::RateLimited) };
    let mut failures: Vec<Failure> = Code::ALL.into_iter().map(Failure::from).collect();
    failures.extend([busy.into(), missing.into(), Failure::rate_limited(Duration::from_micros(1_200_001))]);
    failures.extend([elsewhere.into(), rings.into()]);
    failures
}

#[test]
fn acks_are_frozen() {
    insta::assert_snapshot!(all().iter().map(Failure::ack_json).collect::<Vec<_>>().join("\n"));
}

#[test]
fn error_events_are_frozen() {
    let nothing = Names::default();
    insta::assert_snapshot!(all().iter().map(|failure| failure.event_json(&nothing)).collect::<Vec<_>>().join("\n"));
}

#[test]
fn an_error_event_repeats_the_ids_that_the_command_named() {
    let names = Names::of(Some(r#"{"matchId":"m1","clientId":"c\"1","callId":"v1","message":"secret"}"#));
    let ids = r#""matchId":"m1","clientId":"c\"1","callId":"v1"}"#;
    let error = r#"{"error":"The payload is malformed.","code":"INVALID_PAYLOAD","retryable":false,"#;
    assert_eq!(Failure::invalid().event_json(&names), format!("{error}{ids}"));
    let busy = CallFailure { code: CallCode::Busy.into(), call_id: Some("v2".into()), ..CallFailure::default() };
    let told: serde_json::Value = serde_json::from_str(&Failure::from(busy).event_json(&names)).unwrap();
    assert_eq!((&told["callId"], &told["matchId"]), (&"v2".into(), &"m1".into()), "the call that the two have");
}

#[test]
fn problems_are_frozen() {
    insta::assert_snapshot!(all().into_iter().map(|failure| Problem(failure).json()).collect::<Vec<_>>().join("\n"));
}

#[tokio::test]
async fn a_problem_says_in_the_headers_when_to_try_again() {
    let response = Problem(Failure::rate_limited(Duration::from_millis(1200))).into_response();
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "2");
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let body = to_bytes(response.into_body(), 10_000).await.unwrap();
    insta::assert_snapshot!(String::from_utf8(body.to_vec()).unwrap());
}

#[test]
fn who_is_refused_together_comes_back_apart_within_twice_the_wait() {
    let spread = |wait_ms, seed| Failure::rate_limited(Duration::from_millis(wait_ms)).spread(seed).retry_after_ms;
    let waits: BTreeSet<_> = (0..10_000).map(|seed| spread(1_000, seed).unwrap()).collect();
    assert_eq!((waits.first(), waits.last(), waits.len()), (Some(&1_000), Some(&1_999), 1_000));
    assert_eq!(spread(1_000, u64::MAX), spread(1_000, u64::MAX), "a socket's refusals keep their order");
    assert_eq!(spread(0, u64::MAX), Some(0));
    assert_eq!(Failure::unavailable().spread(7), Failure::unavailable());
}

#[test]
fn a_missing_token_is_answered_with_a_challenge() {
    let challenge = |code: Code| Problem::from(code).into_response().headers()["www-authenticate"].clone();
    assert_eq!(challenge(Code::Unauthenticated), "Bearer");
    assert_eq!(challenge(Code::TokenExpired), "Bearer error=\"invalid_token\"");
}

#[test]
fn an_absent_match_and_one_of_others_are_alike_to_the_byte() {
    let absent = of_status(&Status::not_found("no row"));
    let of_others = Failure::from(ChatFailure { code: chat::Code::MatchNotFound.into(), ..ChatFailure::default() });
    assert_eq!(absent.ack_json(), of_others.ack_json());
    assert_eq!(absent.event_json(&Names::default()), of_others.event_json(&Names::default()));
    assert_eq!(Problem(absent).json(), Problem(of_others).json());
}

#[test]
fn a_status_of_a_service_becomes_a_code() {
    let code_of = |status: Status| of_status(&status).code;
    assert_eq!(code_of(Status::failed_precondition("")), Code::IdempotencyConflict);
    assert_eq!(code_of(Status::invalid_argument("")), Code::InvalidPayload);
    assert_eq!(code_of(Status::unavailable("")), Code::Unavailable);
    assert_eq!(code_of(Status::deadline_exceeded("")), Code::Unavailable);
    assert_eq!(code_of(Status::internal("")), Code::Internal);
    let broken = Status::from_error(Box::new(std::io::Error::from(std::io::ErrorKind::BrokenPipe)));
    assert_eq!(code_of(broken), Code::Unavailable);
}

//! A part of the system goes away and comes back: retryable refusals meanwhile, and all heals without a restart.
//!
//! The services' programs have to be built: `cargo build --release --workspace` (`./dev test` does it).

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/client.rs"]
mod client;
#[path = "support/stack.rs"]
mod stack;

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use tokio::sync::Mutex;

use client::{Answer, Caller, Pair};
use stack::stack;

/// One outage at a time.
static TURN: Mutex<()> = Mutex::const_new(());

const HEALS_WITHIN: Duration = Duration::from_secs(20);

fn unavailable() -> (u16, String) {
    (503, "UNAVAILABLE".into())
}

async fn readyz() -> Answer {
    let nobody = Caller::nobody();
    nobody.send(nobody.request(Method::GET, "/readyz")).await
}

/// Sends again with the same clientId, as the answer says, until the outcome is known.
async fn save_at_last(pair: &Pair, client_id: &str) -> serde_json::Value {
    let deadline = Instant::now() + HEALS_WITHIN;
    loop {
        let answer = pair.alice.post(&pair.path("/messages"), &json!({ "message": "x", "clientId": client_id })).await;
        if answer.status == 200 || answer.status == 201 {
            return answer.json();
        }
        assert_eq!(answer.refusal(), unavailable());
        assert!(Instant::now() < deadline, "it does not heal");
    }
}

async fn until(what: &str, status: u16, mut ask: impl AsyncFnMut() -> Answer) -> Answer {
    let deadline = Instant::now() + HEALS_WITHIN;
    loop {
        let answer = ask().await;
        if answer.status == status {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what} stays {}: {}", answer.status, answer.text);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Takes `name` away, sees a send fail in time, brings it back and sees the send stored once.
async fn sends_outlive(name: &str) {
    let _turn = TURN.lock().await;
    let pair = Pair::create().await;
    pair.fill(1).await;
    stack().order(&format!("kill {name}"));
    let began = Instant::now();
    let body = json!({ "message": "x", "clientId": "c" });
    let refused = pair.alice.post(&pair.path("/messages"), &body).await;
    assert_eq!(refused.refusal(), unavailable());
    assert!(began.elapsed() < Duration::from_secs(7), "it took {:?}", began.elapsed());

    stack().order(&format!("start {name}"));
    assert_eq!(save_at_last(&pair, "c").await["seq"], 2);
    until("the match", 200, async || pair.bob.get(&pair.path("")).await).await;
    let head = pair.bob.get(&pair.path("")).await.ok(200)["lastSeq"].clone();
    assert_eq!(head, 2);
    until("readiness", 200, readyz).await;
}

#[tokio::test]
async fn a_send_outlives_an_outage_of_nats() {
    sends_outlive("nats").await;
}

#[tokio::test]
async fn a_send_outlives_an_outage_of_postgresql() {
    sends_outlive("postgres").await;
}

#[tokio::test]
async fn a_send_outlives_an_outage_of_chat_service() {
    sends_outlive("chat-service-0").await;
}

#[tokio::test]
async fn a_gateway_that_cannot_know_of_revocations_decides_nothing() {
    let _turn = TURN.lock().await;
    let pair = Pair::create().await;
    stack().order("kill chat-service-0");
    let not_ready = until("readiness", 503, readyz).await;
    assert!(not_ready.text.contains("revocations"), "{}", not_ready.text);
    assert_eq!(pair.alice.get("/matches").await.refusal(), unavailable());
    // A bad token is a bad token all the same.
    assert_eq!(Caller::with_token("nonsense").get("/matches").await.refusal(), (401, "UNAUTHENTICATED".into()));
    stack().order("start chat-service-0");
    until("readiness", 200, readyz).await;
    until("the list", 200, async || pair.alice.get("/matches").await).await;
}

#[tokio::test]
async fn without_milestone_service_only_progress_is_unavailable() {
    let _turn = TURN.lock().await;
    let pair = Pair::create().await;
    stack().order("kill milestone-service-0");
    assert_eq!(pair.alice.get(&pair.path("/milestones")).await.refusal(), unavailable());
    pair.fill(1).await;
    pair.alice.get(&pair.path("")).await.ok(200);
    stack().order("start milestone-service-0");
    let progress = until("progress", 200, async || pair.alice.get(&pair.path("/milestones")).await).await;
    assert_eq!(progress.json()["messageCount"], 1);
}

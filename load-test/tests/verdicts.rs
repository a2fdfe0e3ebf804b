//! The verdict on gateways that keep the promises, and on gateways that break one.

#![allow(clippy::unwrap_used)]

use clap::Parser as _;
use load_test::{config::Config, outcome::Outcome, report, scenario};
use serde_json::Value;
use tokio::{sync::mpsc, task::JoinSet};

#[path = "verdicts/gateway.rs"]
mod gateway;

use gateway::Fault;

/// A short run against a gateway with this fault.
async fn run(fault: Fault) -> anyhow::Result<(Config, Outcome)> {
    let mut tasks = JoinSet::new();
    let url = format!("http://{}", gateway::start(fault, &mut tasks).await.address);
    let flags =
        ["load-test", "--url", &url, "--jwt-secret", "s", "--pairs", "10", "--rate", "400", "--duration-s", "1"];
    // Draining ends when all has settled, which what was lost never does.
    let drain_s = if matches!(fault, Fault::LosesDelivery | Fault::ReusesSeq) { "1" } else { "20" };
    let short = ["--warmup-s", "0", "--drain-s", drain_s, "--join-timeout-s", "20"];
    let config = Config::parse_from(flags.into_iter().chain(short));
    config.validate()?;
    let (_interrupt, mut interrupts) = mpsc::channel(1);
    let outcome = scenario::run(&config, &mut interrupts).await?;
    Ok((config, outcome))
}

/// Runs against the fault; returns the promises that were found broken.
async fn violations(fault: Fault) -> Vec<String> {
    let (config, outcome) = run(fault).await.unwrap();
    assert!(!outcome.is_ok(), "{fault:?} was not noticed");
    let result: Value = serde_json::from_str(&report::json(&config, &outcome)).unwrap();
    assert_eq!(result["ok"], false);
    let examples = result["check"]["examples"].as_array().unwrap();
    examples.iter().map(|example| example["promise"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_gateway_that_keeps_its_promises_passes() {
    let (config, outcome) = run(Fault::None).await.unwrap();
    assert!(outcome.is_ok(), "{}", report::summary(&config, &outcome));
    let total = outcome.total;
    assert!((300..=500).contains(&(total.sent + total.unsent)), "{total:?}");
    assert_eq!((total.acked, total.received()), (total.sent, total.sent));
    let result: Value = serde_json::from_str(&report::json(&config, &outcome)).unwrap();
    assert_eq!(result["asked"].get("jwtSecret"), None, "nobody may read it here");
    assert_eq!((&result["ok"], &result["latencyUs"]["ack"]["count"]), (&Value::Bool(true), &total.acked.into()));
}

#[tokio::test]
async fn asking_to_wait_is_counted_and_no_violation() {
    let (config, outcome) = run(Fault::AsksToWait).await.unwrap();
    assert!(outcome.is_ok(), "{}", report::summary(&config, &outcome));
    assert!(outcome.total.rate_limited > 0 && outcome.total.resent >= outcome.total.rate_limited);
    assert_eq!(outcome.codes["RATE_LIMITED"], outcome.total.rate_limited);
}

#[tokio::test]
async fn a_lost_ack_is_made_up_by_a_repeat_with_the_same_client_id() {
    let (config, outcome) = run(Fault::ClosesBeforeAck).await.unwrap();
    assert!(outcome.is_ok(), "{}", report::summary(&config, &outcome));
    assert!(outcome.total.disconnects > 0 && outcome.total.duplicates > 0, "{:?}", outcome.total);
    assert_eq!(outcome.total.unsettled(), 0);
}

#[tokio::test]
async fn a_broken_promise_is_found() {
    for (fault, promise) in [
        (Fault::LosesDelivery, "delivered once, in order"),
        (Fault::DeliversTwice, "delivered once, in order"),
        (Fault::ForgetsClientIds, "stored once"),
        (Fault::ReusesSeq, "acked is stored"),
    ] {
        let found = violations(fault).await;
        assert!(found.contains(&promise.to_owned()), "{fault:?}: {found:?}");
    }
}

#[tokio::test]
async fn a_run_whose_users_cannot_join_says_why() {
    for (fault, code) in [(Fault::RefusesTokens, "UNAUTHENTICATED"), (Fault::KnowsNoMatch, "MATCH_NOT_FOUND")] {
        let error = run(fault).await.err().unwrap().to_string();
        assert!(error.contains("of 20 users could join") && error.contains(code), "{error}");
    }
}

#[tokio::test]
async fn an_interrupt_ends_the_run_with_the_report_so_far() {
    let mut tasks = JoinSet::new();
    let mut gateway = gateway::start(Fault::None, &mut tasks).await;
    let url = format!("http://{}", gateway.address);
    let flags =
        ["load-test", "--url", &url, "--jwt-secret", "s", "--pairs", "2", "--rate", "100", "--duration-s", "600"];
    let config = Config::parse_from(flags);
    let (interrupt, mut interrupts) = mpsc::channel(1);
    tasks.spawn(async move {
        gateway.sent.wait_for(|sent| *sent > 20).await.unwrap();
        interrupt.send(()).await.unwrap();
    });
    let outcome = scenario::run(&config, &mut interrupts).await.unwrap();
    assert!(outcome.interrupted && outcome.is_ok());
    assert!(outcome.total.acked > 0);
}

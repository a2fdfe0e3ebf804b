//! Things at the same instant: exactly one wins, and both sides agree.

use std::time::Duration;

use proto::{inbox::call_changed::Change, signaling::CallCode};
use tokio::time::sleep;

use crate::{
    party::{Party, code},
    support::{Stack, folder},
};

/// The last thing that a device hears of the call.
async fn last_heard(party: &mut Party) -> String {
    loop {
        match party.hears().await {
            Change::Ended(ended) => return ended.reason,
            Change::Rejected(rejected) => return rejected.reason.unwrap_or_default(),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_devices_that_accept_at_once_one_has_the_call() {
    let stack = Stack::new().await;
    let _replicas = (stack.replica(&[]).await, stack.replica(&[]).await);
    for round in 0..10 {
        let (id, alice, bob) = (format!("m{round}"), format!("alice{round}"), format!("bob{round}"));
        stack.put_unlocked(&id, [&alice, &bob]).await;
        let caller = stack.party(&id, &alice, "a").await;
        let (phone, tablet) = (stack.party(&id, &bob, "phone").await, stack.party(&id, &bob, "tablet").await);
        caller.ring().await.unwrap();
        let outcomes = tokio::join!(phone.accept(), tablet.accept());
        let (won, lost) = match outcomes {
            (Ok(won), Err(lost)) | (Err(lost), Ok(won)) => (won, lost),
            other => panic!("{other:?}"),
        };
        assert_eq!((won.version, lost.code()), (2, CallCode::StateConflict));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_accept_cancel_and_time_out_at_once_both_sides_see_the_same_end() {
    let stack = Stack::new().await;
    let timing = ["--ring-timeout-s", "1"];
    let _replicas = (stack.replica(&timing).await, stack.replica(&timing).await);
    for round in 0..8 {
        let (id, alice, bob) = (format!("m{round}"), format!("alice{round}"), format!("bob{round}"));
        stack.put_unlocked(&id, [&alice, &bob]).await;
        let (mut one, mut other) = (stack.party(&id, &alice, "a").await, stack.party(&id, &bob, "b").await);
        let call = one.ring().await.unwrap();
        sleep(service_kit::clock::until(call.expires_at_ms).saturating_sub(Duration::from_millis(round * 2))).await;
        let (accepted, _cancelled) = tokio::join!(other.accept(), one.end());
        if accepted.is_ok() {
            // Whether the cancel lost the race or not, the caller wants the call to be over.
            one.end().await.unwrap();
        }
        let (told_one, told_other) = (last_heard(&mut one).await, last_heard(&mut other).await);
        assert_eq!(told_one, told_other);
        assert_eq!(told_one == "completed", accepted.is_ok(), "{told_one} {accepted:?}");
        one.hears_nothing().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_ring_each_other_at_once_one_calls_and_the_other_is_told_of_it() {
    let stack = Stack::new().await;
    let _replicas = (stack.replica(&[]).await, stack.replica(&[]).await);
    for round in 0..10 {
        let (id, alice, bob) = (format!("m{round}"), format!("alice{round}"), format!("bob{round}"));
        stack.put_unlocked(&id, [&alice, &bob]).await;
        let (one, other) = (stack.party(&id, &alice, "a").await, stack.party(&id, &bob, "b").await);
        let (call, busy) = match tokio::join!(one.ring(), other.ring()) {
            (Ok(call), Err(busy)) | (Err(busy), Ok(call)) => (call, busy),
            both => panic!("{both:?}"),
        };
        assert_eq!((busy.code(), busy.call_id), (CallCode::Busy, Some(call.call_id)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unanswered_call_ends_on_both_sides_once() {
    let stack = Stack::new().await;
    let timing = ["--ring-timeout-s", "1"];
    let _replicas = (stack.replica(&timing).await, stack.replica(&timing).await);
    stack.put_unlocked("demo", ["alice", "bob"]).await;
    let (mut alice, mut bob) = (stack.party("demo", "alice", "a").await, stack.party("demo", "bob", "b").await);
    alice.ring().await.unwrap();
    assert!(matches!(bob.hears().await, Change::Incoming(_)));
    assert_eq!((alice.hears_end().await, bob.hears_end().await), ("no_answer".to_owned(), "no_answer".to_owned()));
    assert_eq!(code(bob.accept().await), CallCode::NotFound);
    // The announcement and its two repeats, all of the same change.
    assert_eq!(bob.versions_within(Duration::from_secs(4)).await, [2, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_out_comes_once_when_the_replica_that_rang_is_killed() {
    let stack = Stack::new().await;
    let dir = folder();
    let timing = ["--ring-timeout-s", "3"];
    stack.put_unlocked("demo", ["alice", "bob"]).await;
    let (mut alice, mut bob) = (stack.party("demo", "alice", "a").await, stack.party("demo", "bob", "b").await);
    let mut first = stack.process(&timing, dir.path()).await;
    let call = alice.ring().await.unwrap();
    first.daemon.kill();
    let _second = stack.replica(&timing).await;
    assert!(matches!(bob.hears().await, Change::Incoming(_)));
    assert_eq!((alice.hears_end().await, bob.hears_end().await), ("no_answer".to_owned(), "no_answer".to_owned()));
    assert!(service_kit::clock::unix_ms() >= call.expires_at_ms);
    alice.hears_nothing().await;
    bob.hears_nothing().await;
}

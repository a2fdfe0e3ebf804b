//! A call from the ring to its end, over two replicas.

use std::time::Duration;

use proto::{
    inbox::call_changed::Change,
    signaling::{
        CallCode, CallState,
        call_request::{Command, End, TakeOver},
        get_call_request::Of,
    },
};

use crate::{
    party::{Party, code},
    support::{Stack, eventually},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_rung_accepted_talked_over_and_ended() {
    let stack = Stack::new().await;
    let (replica, _other) = (stack.replica(&[]).await, stack.replica(&[]).await);
    stack.put_unlocked("demo", ["alice", "bob"]).await;
    let mut alice = stack.party("demo", "alice", "a-phone").await;
    let mut laptop = stack.party("demo", "alice", "a-laptop").await;
    let (mut phone, mut tablet) =
        (stack.party("demo", "bob", "b-phone").await, stack.party("demo", "bob", "b-tablet").await);

    let call = alice.ring().await.unwrap();
    assert_eq!((call.state(), call.caller.as_str(), call.version), (CallState::Ringing, alice.user(), 1));
    for device in [&mut phone, &mut tablet] {
        match device.hears().await {
            Change::Incoming(incoming) => {
                assert_eq!((incoming.caller.as_str(), incoming.expires_at_ms), (alice.user(), call.expires_at_ms));
                assert_eq!(incoming.media.as_deref(), Some(r#"{"video":true}"#));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(code(alice.signal("early").await), CallCode::StateConflict);

    let accepted = phone.accept().await.unwrap();
    assert_eq!((accepted.state(), accepted.callee_device.as_deref()), (CallState::Active, Some("b-phone")));
    match alice.hears().await {
        Change::Accepted(accepted) => assert_eq!(accepted.signal.as_deref(), Some("\"answer\"")),
        other => panic!("{other:?}"),
    }
    assert_eq!(tablet.hears_end().await, "answered_elsewhere");
    assert_eq!(phone.accept().await.unwrap().version, 2);
    assert_eq!(code(tablet.accept().await), CallCode::StateConflict);
    assert_eq!(code(tablet.reject().await), CallCode::StateConflict);

    alice.signal("offer").await.unwrap();
    phone.signal("answer").await.unwrap();
    assert_eq!(code(tablet.signal("me too").await), CallCode::StateConflict);
    for (device, expected) in [(&mut phone, "offer"), (&mut alice, "answer")] {
        match device.hears().await {
            Change::Signaled(signaled) => assert_eq!(signaled.payload, expected),
            other => panic!("{other:?}"),
        }
    }

    let by_user = stack.live(&replica, Of::UserId(phone.user().to_owned())).await.unwrap();
    let by_match = stack.live(&replica, Of::MatchId(call.match_id.clone())).await.unwrap();
    assert_eq!((by_user.call_id.as_str(), by_match), (call.call_id.as_str(), by_user.clone()));

    let over = phone.end().await.unwrap();
    assert_eq!((over.state(), phone.end().await.unwrap().version), (CallState::Ended, over.version));
    assert_eq!(alice.end().await.unwrap().version, over.version);
    assert_eq!(alice.hears_end().await, "completed");
    assert_eq!(phone.hears_end().await, "completed");
    for device in [&mut tablet, &mut laptop] {
        device.hears_nothing().await;
    }
    assert_eq!(stack.live(&replica, Of::CallId(call.call_id)).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_was_away_learns_what_became_of_a_call_also_after_its_end() {
    let stack = Stack::new().await;
    let replica = stack.replica(&[]).await;
    stack.put_unlocked("demo", ["alice", "bob"]).await;
    let (alice, bob) = (stack.party("demo", "alice", "a").await, stack.party("demo", "bob", "b").await);
    let call = alice.ring().await.unwrap().call_id;
    let (phone, tablet) = ((alice.user(), "a"), (bob.user(), "b"));
    let missed = async |device, heard_of| stack.missed(&replica, device, heard_of).await;
    assert!(matches!(missed(tablet, Some(&call)).await[..], [(1, Change::Incoming(_))]));
    assert_eq!(missed(phone, Some(&call)).await, []);
    bob.accept().await.unwrap();
    assert!(matches!(missed(phone, None).await[..], [(2, Change::Accepted(_))]), "it was acked only");
    // What the devices that did not accept are told.
    assert!(matches!(missed((bob.user(), "other"), Some(&call)).await[..], [(2, Change::Ended(_))]));
    alice.end().await.unwrap();
    let other = ((bob.user(), "other"), Some(call.as_str()), (2, "answered_elsewhere"));
    for (device, heard_of, end) in [(phone, None, (3, "completed")), (tablet, None, (3, "completed")), other] {
        match &missed(device, heard_of).await[..] {
            [(version, Change::Ended(ended))] => assert_eq!((*version, ended.reason.as_str()), end),
            other => panic!("{device:?}: {other:?}"),
        }
    }
    assert_eq!(missed((alice.user(), "other"), None).await, [], "a device that never heard of it");
    assert_eq!(missed(("carol", "a"), Some(&call)).await, [], "a stranger");
    assert_eq!(missed((alice.user(), "other"), Some("unknown")).await, []);
    // The next call takes the place of the last one, and the cursor still names the earlier.
    let next = alice.ring().await.unwrap().call_id;
    assert!(matches!(missed(tablet, Some(&call)).await[..], [(3, Change::Ended(_))]));
    bob.accept().await.unwrap();
    let told = missed(phone, Some(&call)).await;
    assert!(matches!(told[..], [(2, Change::Accepted(_)), (3, Change::Ended(_))]), "{next}: {told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_call_stops_ringing_everywhere_and_the_line_is_free_again() {
    let stack = Stack::new().await;
    let _replica = stack.replica(&[]).await;
    stack.put_unlocked("demo", ["alice", "bob"]).await;
    let mut alice = stack.party("demo", "alice", "a").await;
    let (mut phone, mut tablet) =
        (stack.party("demo", "bob", "b-phone").await, stack.party("demo", "bob", "b-tablet").await);
    let first = alice.ring().await.unwrap();
    assert!(matches!(tablet.hears().await, Change::Incoming(_)));
    assert!(matches!(phone.hears().await, Change::Incoming(_)));
    phone.reject().await.unwrap();
    phone.reject().await.unwrap();
    assert!(matches!(alice.hears().await, Change::Rejected(rejected) if rejected.reason() == "declined"));
    assert_eq!(tablet.hears_end().await, "declined");
    phone.hears_nothing().await;
    assert_ne!(alice.ring().await.unwrap().call_id, first.call_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_call_tells_the_client_s_own_reason() {
    let stack = Stack::new().await;
    let _replica = stack.replica(&[]).await;
    stack.put_unlocked("demo", ["alice", "bob"]).await;
    let alice = stack.party("demo", "alice", "a").await;
    let mut bob = stack.party("demo", "bob", "b").await;
    for (reason, told) in [(None, "cancelled"), (Some("wrong person"), "wrong person"), (Some(""), "cancelled")] {
        let call = alice.ring().await.unwrap();
        let mut bob_now = stack.party("demo", "bob", "b").await;
        let end = End { signal: None, reason: reason.map(str::to_owned) };
        alice.ask(Some(&call.call_id), Command::End(end)).await.unwrap();
        assert_eq!(bob_now.hears_end().await, told);
        assert_eq!(code(bob.accept().await), CallCode::NotFound);
    }
    assert!(matches!(bob.hears().await, Change::Incoming(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_ring_is_the_same_call_and_the_other_side_s_ring_is_told_of_it() {
    let stack = Stack::new().await;
    let _replica = stack.replica(&[]).await;
    stack.put_unlocked("demo", ["alice", "bob"]).await;
    let (alice, bob) = (stack.party("demo", "alice", "a").await, stack.party("demo", "bob", "b").await);
    let call = alice.ring().await.unwrap();
    assert_eq!(alice.ring().await.unwrap(), call);
    let busy = bob.ring().await.unwrap_err();
    assert_eq!((busy.code(), busy.call_id.as_deref()), (CallCode::Busy, Some(call.call_id.as_str())));
    bob.accept().await.unwrap();
    assert_eq!(alice.ring().await.unwrap().version, 2);
    assert_eq!(bob.ring().await.unwrap_err().code(), CallCode::Busy);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_device_of_a_user_in_the_call_is_told_that_it_is_elsewhere() {
    let stack = Stack::new().await;
    let _replicas = (stack.replica(&[]).await, stack.replica(&[]).await);
    stack.put_unlocked("demo", ["alice", "bob"]).await;
    let (alice, laptop) = (stack.party("demo", "alice", "phone").await, stack.party("demo", "alice", "laptop").await);
    let (bob, tablet) = (stack.party("demo", "bob", "phone").await, stack.party("demo", "bob", "tablet").await);
    let call = alice.ring().await.unwrap();
    let refused = async |party: &Party| {
        let busy = party.ring().await.unwrap_err();
        assert_eq!((busy.code(), busy.call_id.as_deref()), (CallCode::Busy, Some(call.call_id.as_str())));
        busy.elsewhere
    };
    assert_eq!((refused(&laptop).await, refused(&bob).await, refused(&tablet).await), (true, false, false));
    bob.accept().await.unwrap();
    assert_eq!((refused(&laptop).await, refused(&bob).await, refused(&tablet).await), (true, false, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_no_device_takes_is_unavailable_until_the_device_is_there_again() {
    let stack = Stack::new().await;
    let _replica = stack.replica(&[]).await;
    stack.put_unlocked("demo", ["alice", "bob"]).await;
    let alice = stack.party("demo", "alice", "a").await;
    let (phone, tablet) = (stack.party("demo", "bob", "phone").await, stack.party("demo", "bob", "tablet").await);
    alice.ring().await.unwrap();
    phone.accept().await.unwrap();
    drop(phone);
    // The tablet hears it and is not meant.
    let is_refused = async || alice.signal("lost").await.is_err_and(|failure| failure.code() == CallCode::Unavailable);
    eventually("the phone is gone", is_refused).await;
    drop(tablet);
    assert_eq!(code(alice.signal("lost, too").await), CallCode::Unavailable);
    let mut phone = stack.party("demo", "bob", "phone").await;
    alice.signal("offer").await.unwrap();
    loop {
        match phone.hears().await {
            Change::Signaled(signaled) => break assert_eq!(signaled.payload, "offer"),
            Change::Ended(ended) => panic!("{ended:?}"),
            // Repeats of steps, to a device that begins anew here.
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_in_a_call_is_busy_for_everybody_else_who_learns_nothing_of_it() {
    let stack = Stack::new().await;
    let _replica = stack.replica(&[]).await;
    stack.put_unlocked("ab", ["alice", "bob"]).await;
    stack.put_unlocked("bc", ["bob", "carol"]).await;
    let alice = stack.party("ab", "alice", "a").await;
    let (bob, carol) = (stack.party("bc", "bob", "b").await, stack.party("bc", "carol", "c").await);
    alice.ring().await.unwrap();
    for refused in [carol.ring().await, bob.ring().await] {
        let busy = refused.unwrap_err();
        assert_eq!((busy.code(), busy.call_id), (CallCode::Busy, None));
    }
    alice.end().await.unwrap();
    carol.ring().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_is_announced_again_after_one_and_three_seconds() {
    let stack = Stack::new().await;
    let _replicas = (stack.replica(&[]).await, stack.replica(&[]).await);
    stack.put_unlocked("demo", ["alice", "bob"]).await;
    let alice = stack.party("demo", "alice", "a").await;
    let mut bob = stack.party("demo", "bob", "b").await;
    alice.ring().await.unwrap();
    assert_eq!(bob.versions_within(Duration::from_secs(5)).await, [1, 1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_takes_over_hears_the_signals_and_the_end_instead_of_the_earlier_one() {
    let stack = Stack::new().await;
    let (_replica, _other) = (stack.replica(&[]).await, stack.replica(&[]).await);
    stack.put_unlocked("demo", ["alice", "bob"]).await;
    let mut alice = stack.party("demo", "alice", "a-phone").await;
    let mut phone = stack.party("demo", "bob", "b-phone").await;
    alice.ring().await.unwrap();
    phone.hears().await;
    phone.accept().await.unwrap();
    alice.hears().await;
    let mut back = stack.party("demo", "alice", "a-new").await;
    let taken = back.take_over(&alice).await.unwrap();
    assert_eq!((taken.version, taken.caller_device.as_str()), (2, "a-new"));
    assert_eq!(back.take_over(&alice).await.unwrap(), taken, "once more");
    for refused in [alice.signal("late").await, alice.renew().await, alice.take_over(&phone).await] {
        assert_eq!(code(refused), CallCode::StateConflict);
    }
    phone.signal("\"to the new one\"").await.unwrap();
    loop {
        // The acceptance is repeated, to the device that takes part now.
        match back.hears().await {
            Change::Accepted(_) => {}
            Change::Signaled(signaled) => break assert_eq!(signaled.payload, "\"to the new one\""),
            other => panic!("{other:?}"),
        }
    }
    phone.end().await.unwrap();
    assert_eq!(back.hears_end().await, "completed");
    alice.hears_nothing().await;
    assert_eq!(code(back.take_over(&alice).await), CallCode::NotFound);
    assert_eq!(code(back.ask(None, Command::TakeOver(TakeOver::default())).await), CallCode::InvalidPayload);
}

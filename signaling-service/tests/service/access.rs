//! Who may call whom, and what strangers learn.

use proto::{
    inbox::call_changed::Change,
    signaling::{
        CallCode,
        call_request::{Accept, Command, End, Reject, Ring, Signal},
    },
};

use crate::{party::code, support::Stack};

#[tokio::test(flavor = "multi_thread")]
async fn before_the_milestone_the_number_of_missing_messages_is_told() {
    let stack = Stack::new().await;
    let _replica = stack.replica(&[]).await;
    stack.put("demo", ["alice", "bob"], 1).await;
    let refused = stack.party("demo", "alice", "a").await.ring().await.unwrap_err();
    assert_eq!((refused.code(), refused.remaining), (CallCode::MilestoneRequired, Some(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_message_that_reaches_the_milestone_unlocks_calls_at_once() {
    let stack = Stack::new().await;
    let _replica = stack.replica(&[]).await;
    stack.put("demo", ["alice", "bob"], 3).await;
    stack.party("demo", "alice", "a").await.ring().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_cannot_tell_a_match_with_a_call_from_one_that_does_not_exist() {
    let stack = Stack::new().await;
    let _replica = stack.replica(&[]).await;
    stack.put_unlocked("demo", ["alice", "bob"]).await;
    let call = stack.party("demo", "alice", "a").await.ring().await.unwrap();
    let stranger = stack.party("demo", "mallory", "m").await;
    let nowhere = stack.party("nowhere", "mallory", "m").await;
    for command in [
        Command::Ring(Ring::default()),
        Command::Accept(Accept::default()),
        Command::Reject(Reject::default()),
        Command::End(End::default()),
        Command::Signal(Signal::default()),
    ] {
        for call_id in [None, Some(call.call_id.as_str())] {
            let told = stranger.ask(call_id, command.clone()).await.unwrap_err();
            assert_eq!(told.code(), CallCode::MatchNotFound, "{command:?}");
            assert_eq!(told, nowhere.ask(call_id, command.clone()).await.unwrap_err());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_other_people_is_as_good_as_none() {
    let stack = Stack::new().await;
    let _replica = stack.replica(&[]).await;
    stack.put_unlocked("ab", ["alice", "bob"]).await;
    stack.put_unlocked("cd", ["carol", "dave"]).await;
    let call = stack.party("ab", "alice", "a").await.ring().await.unwrap();
    let carol = stack.party("cd", "carol", "c").await;
    for call_id in [None, Some(call.call_id.as_str()), Some("no-such-call")] {
        assert_eq!(code(carol.ask(call_id, Command::End(End::default())).await), CallCode::NotFound);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_are_refused() {
    let stack = Stack::new().await;
    let _replica = stack.replica(&[]).await;
    stack.put_unlocked("demo", ["alice", "bob"]).await;
    let alice = stack.party("demo", "alice", "a").await;
    let long = Command::Accept(Accept { signal: Some("x".repeat(64 * 1024 + 1)) });
    assert_eq!(code(alice.ask(None, long).await), CallCode::InvalidPayload);
    for id in ["a.b", "", "*", &"x".repeat(65)] {
        assert_eq!(code(alice.ask(Some(id), Command::End(End::default())).await), CallCode::InvalidPayload, "{id:?}");
    }
    let nameless = stack.party("demo", "alice", "").await;
    assert_eq!(code(nameless.ring().await), CallCode::InvalidPayload);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_match_ends_its_call_on_both_sides_and_takes_no_other() {
    let stack = Stack::new().await;
    let _replicas = (stack.replica(&[]).await, stack.replica(&[]).await);
    stack.put_unlocked("demo", ["alice", "bob"]).await;
    let (mut alice, mut bob) = (stack.party("demo", "alice", "a").await, stack.party("demo", "bob", "b").await);
    alice.ring().await.unwrap();
    bob.accept().await.unwrap();
    alice.hears().await;
    stack.close("demo").await;
    assert!(matches!(bob.hears().await, Change::Incoming(_)));
    assert_eq!(
        (alice.hears_end().await, bob.hears_end().await),
        ("match_closed".to_owned(), "match_closed".to_owned())
    );
    assert_eq!(code(alice.ring().await), CallCode::MatchClosed);
    assert_eq!(code(alice.signal("late").await), CallCode::MatchClosed);
    assert_eq!(code(stack.party("demo", "mallory", "m").await.ring().await), CallCode::MatchNotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_a_match_that_was_closed_a_moment_ago_cannot_be_accepted() {
    let stack = Stack::new().await;
    let _replica = stack.replica(&[]).await;
    stack.put_unlocked("demo", ["alice", "bob"]).await;
    let (mut alice, bob) = (stack.party("demo", "alice", "a").await, stack.party("demo", "bob", "b").await);
    alice.ring().await.unwrap();
    stack.close("demo").await;
    assert_eq!(code(bob.accept().await), CallCode::MatchClosed);
    assert_eq!(alice.hears_end().await, "match_closed");
}

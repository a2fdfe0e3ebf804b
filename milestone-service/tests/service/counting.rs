//! Messages are counted, milestones recorded and announced.

use tonic::Code;

use crate::support::{PREFIX, Stack, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn the_message_that_reaches_a_milestone_has_it_announced_once_whatever_the_number_of_replicas() {
    let stack = Stack::start().await;
    let _replicas = (stack.replica().await, stack.replica().await);
    let (mut alice, mut bob) = (stack.inbox("alice").await, stack.inbox("bob").await);
    stack.put("demo").await;
    stack.send("demo", &["1", "2"]).await;
    alice.no_milestone().await;
    stack.send("demo", &["3"]).await;
    for inbox in [&mut alice, &mut bob] {
        let milestone = inbox.milestone().await;
        assert_eq!((milestone.milestone_id.as_str(), milestone.threshold, milestone.rev), ("three", 3, 1));
        assert_eq!(milestone.unlocks, ["video_call"]);
    }
    stack.send("demo", &["3", "4"]).await;
    alice.no_milestone().await;
    stack.send("demo", &["5"]).await;
    assert_eq!(alice.milestone().await.milestone_id, "five");
    assert_eq!(bob.milestone().await.milestone_id, "five");
    bob.no_milestone().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_messages_at_once_from_many_matches_reach_each_milestone_once() {
    let stack = Stack::start().await;
    let _replicas = (stack.replica().await, stack.replica().await);
    let mut alice = stack.inbox("alice").await;
    let matches: Vec<_> = (0..20).map(|number| format!("m{number}")).collect();
    for id in &matches {
        stack.put(id).await;
    }
    let sends = matches.iter().flat_map(|id| ["1", "2", "3", "4", "5", "6"].map(|client_id| (id, client_id)));
    let sends = sends.map(async |(id, client_id)| stack.send(id, &[client_id]).await);
    futures_util::future::join_all(sends).await;
    for _ in 0..2 * matches.len() {
        alice.milestone().await;
    }
    alice.no_milestone().await;
    for id in &matches {
        let ids: Vec<_> = stack.get(id).await.milestones.into_iter().map(|milestone| milestone.milestone_id).collect();
        assert_eq!(ids, ["three", "five"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_counts_committed_messages() {
    let stack = Stack::start().await;
    let replica = stack.replica().await;
    stack.put("demo").await;
    stack.send("demo", &["1", "2", "3", "4"]).await;
    let progress = replica.progress("demo").await.unwrap();
    let remaining: Vec<_> =
        progress.milestones.iter().map(|milestone| (milestone.milestone_id.as_str(), milestone.remaining)).collect();
    assert_eq!((progress.message_count, remaining), (4, vec![("three", 0), ("five", 1)]));
    assert_eq!(replica.progress("nowhere").await.unwrap_err().code(), Code::NotFound);
    assert_eq!(replica.progress("a.b").await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_for_progress_records_a_milestone_whose_commit_was_never_heard_of() {
    let stack = Stack::start().await;
    let elsewhere = Stack::start().await;
    let deaf = stack.replica_hearing(elsewhere.nats.url()).await;
    stack.put("demo").await;
    stack.send("demo", &["1", "2", "3"]).await;
    assert!(stack.get("demo").await.milestones.is_empty());
    assert_eq!(deaf.progress("demo").await.unwrap().milestones[0].remaining, 0);
    assert_eq!(stack.get("demo").await.milestones.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_stops_in_good_order_and_another_goes_on() {
    let stack = Stack::start().await;
    let (first, _second) = (stack.replica().await, stack.replica().await);
    stack.put("demo").await;
    stack.send("demo", &["1", "2"]).await;
    assert!(first.stop().await);
    stack.send("demo", &["3"]).await;
    eventually("the milestone is recorded", async || stack.get("demo").await.milestones.len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_stacks_behind_prefixes_on_the_same_servers_do_not_meet() {
    let stack = Stack::start().await;
    let other = stack.neighbour("t2.").await;
    let _replicas = (stack.replica().await, other.replica().await);
    let (mut alice, mut namesake) = (stack.inbox("alice").await, other.inbox("alice").await);
    for tenant in [&*stack, &other] {
        tenant.put("demo").await;
    }
    stack.send("demo", &["1", "2", "3"]).await;
    other.send("demo", &["1", "2"]).await;
    assert_eq!(alice.milestone().await.milestone_id, "three");
    let count = async |prefix| {
        let mut get = redis::cmd("HGET");
        stack.redis::<Option<i64>>(get.arg(format!("{prefix}milestone:{{demo}}")).arg("count")).await
    };
    eventually("each has its count", async || (count(PREFIX).await, count("t2.").await) == (Some(3), Some(2))).await;
    namesake.no_milestone().await;
    assert!(other.get("demo").await.milestones.is_empty());
    other.send("demo", &["3"]).await;
    assert_eq!(namesake.milestone().await.milestone_id, "three");
    alice.no_milestone().await;
}

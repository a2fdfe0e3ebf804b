//! Servers lose their data, go away and come back.

use crate::support::{PREFIX, Stack, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_redis_loses_no_count_and_announces_nothing_twice() {
    let stack = Stack::start().await;
    let _replica = stack.replica().await;
    let mut alice = stack.inbox("alice").await;
    stack.put("demo").await;
    stack.send("demo", &["1", "2"]).await;
    stack.redis::<()>(&redis::cmd("FLUSHALL")).await;
    stack.send("demo", &["3"]).await;
    assert_eq!(alice.milestone().await.milestone_id, "three");
    stack.redis::<()>(&redis::cmd("FLUSHALL")).await;
    stack.send("demo", &["4"]).await;
    alice.no_milestone().await;
    stack.send("demo", &["5"]).await;
    assert_eq!(alice.milestone().await.milestone_id, "five");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_counts_too_much_is_not_believed() {
    let stack = Stack::start().await;
    let _replica = stack.replica().await;
    let mut alice = stack.inbox("alice").await;
    let mut set = redis::cmd("HSET");
    stack.redis::<()>(set.arg(format!("{PREFIX}milestone:{{demo}}")).arg("count").arg(50)).await;
    stack.put("demo").await;
    stack.send("demo", &["1"]).await;
    alice.no_milestone().await;
    stack.send("demo", &["2", "3"]).await;
    assert_eq!(alice.milestone().await.milestone_id, "three");
    alice.no_milestone().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_milestones_are_announced_all_the_same_and_the_replica_says_that_it_is_away() {
    let mut stack = Stack::start().await;
    let replica = stack.replica().await;
    let mut alice = stack.inbox("alice").await;
    stack.put("demo").await;
    stack.redis.kill();
    eventually("the replica is not ready", async || !replica.is_ready()).await;
    stack.send("demo", &["1", "2", "3"]).await;
    assert_eq!(alice.milestone().await.milestone_id, "three");
    stack.send("demo", &["4"]).await;
    alice.no_milestone().await;
    stack.redis.start_again().await.unwrap();
    eventually("the replica is ready", async || replica.is_ready()).await;
    stack.send("demo", &["5"]).await;
    assert_eq!(alice.milestone().await.milestone_id, "five");
    alice.no_milestone().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_hangs_keeps_no_milestone_waiting() {
    let mut stack = Stack::start().await;
    let _replica = stack.replica().await;
    let mut alice = stack.inbox("alice").await;
    stack.put("demo").await;
    stack.send("demo", &["1", "2"]).await;
    stack.redis.freeze();
    stack.send("demo", &["3"]).await;
    assert_eq!(alice.milestone().await.milestone_id, "three");
    stack.send("demo", &["4", "5"]).await;
    assert_eq!(alice.milestone().await.milestone_id, "five");
    stack.redis.thaw();
    stack.send("demo", &["6"]).await;
    alice.no_milestone().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_chat_service_is_down_messages_wait() {
    let mut stack = Stack::start().await;
    let replica = stack.replica().await;
    stack.put("demo").await;
    stack.send("demo", &["1", "2"]).await;
    drop(replica);
    stack.send("demo", &["3"]).await;
    stack.chat.daemon.freeze();
    let _replica = stack.replica().await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    stack.chat.daemon.thaw();
    eventually("the milestone is recorded", async || stack.get("demo").await.milestones.len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_nats_gets_its_stream_and_consumer_back_and_what_it_lost_is_counted() {
    let mut stack = Stack::start().await;
    let replica = stack.replica().await;
    stack.put("demo").await;
    stack.send("demo", &["1", "2"]).await;
    assert!(replica.stop().await);
    // Nobody hears of the third message, and then it is forgotten.
    stack.send("demo", &["3"]).await;
    stack.nats.kill();
    std::fs::remove_dir_all(stack.dir.path().join("nats")).unwrap();
    stack.nats.start_again().await.unwrap();
    let _replica = stack.replica().await;
    eventually("the milestone is recorded", async || stack.get("demo").await.milestones.len() == 1).await;

    // The same while the replica runs.
    stack.nats.kill();
    std::fs::remove_dir_all(stack.dir.path().join("nats")).unwrap();
    stack.nats.start_again().await.unwrap();
    stack.send("demo", &["4", "5"]).await;
    eventually("the milestone is recorded", async || stack.get("demo").await.milestones.len() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_replica_had_taken_is_counted_by_another() {
    let stack = Stack::start().await;
    let replica = stack.replica().await;
    stack.put("demo").await;
    stack.send("demo", &["1", "2"]).await;
    let mut hung = stack.process().await;
    drop(replica);
    hung.daemon.freeze();
    stack.send("demo", &["3"]).await;
    let _replica = stack.replica().await;
    eventually("the milestone is recorded", async || stack.get("demo").await.milestones.len() == 1).await;
}

//! The stream holds what nobody can read, and what was heard before.

use proto::chat::{Head, MessagesCommitted};

use crate::support::Stack;

#[tokio::test(flavor = "multi_thread")]
async fn an_undecodable_event_is_counted_and_dropped_and_those_around_it_are_heard() {
    let stack = Stack::start().await;
    let replica = stack.process().await;
    let mut alice = stack.inbox("alice").await;
    stack.put("demo").await;
    let posted = stack.bus.subjects().posted();
    stack.send("demo", &["1", "2"]).await;
    stack.bus.publish_encoded(&posted, "\u{7f}no protobuf".into()).await.unwrap();
    stack.bus.flush().await.unwrap();
    stack.send("demo", &["3"]).await;
    assert_eq!(alice.milestone().await.milestone_id, "three");
    stack.all_is_acknowledged().await;
    let dropped = replica.metric("milestone_batches_total", "outcome=\"dropped\"").await.unwrap();
    assert!((dropped - 1.0).abs() < f64::EPSILON, "{dropped}");
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_come_repeated_and_out_of_order_reach_a_milestone_once() {
    let stack = Stack::start().await;
    // What chat-service says itself is not heard there.
    let elsewhere = Stack::start().await;
    let _replica = stack.replica_hearing(elsewhere.nats.url()).await;
    let mut alice = stack.inbox("alice").await;
    stack.put("demo").await;
    stack.send("demo", &["1", "2", "3", "4"]).await;
    let posted = elsewhere.bus.subjects().posted();
    for last_seq in [4, 1, 4] {
        let heads = vec![Head { match_id: "demo".to_owned(), last_seq }];
        elsewhere.bus.publish_durably(&posted, &MessagesCommitted { heads, watermark_ms: 0 }).await.unwrap();
    }
    assert_eq!(alice.milestone().await.milestone_id, "three");
    elsewhere.all_is_acknowledged().await;
    alice.no_milestone().await;
}

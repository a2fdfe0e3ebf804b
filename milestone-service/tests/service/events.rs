//! What stands in the stream beside what should.

use proto::{MatchId, partition};

use crate::support::Stack;

#[tokio::test(flavor = "multi_thread")]
async fn an_undecodable_event_is_counted_and_dropped_and_those_around_it_are_heard() {
    let stack = Stack::start().await;
    let replica = stack.process().await;
    let mut alice = stack.inbox("alice").await;
    stack.put("demo").await;
    let posted = stack.bus.subjects().posted(partition::of(&MatchId::new("demo").unwrap()));
    stack.send("demo", &["1", "2"]).await;
    stack.bus.publish_encoded(&posted, "\u{7f}no protobuf".into()).await.unwrap();
    stack.bus.flush().await.unwrap();
    stack.send("demo", &["3"]).await;
    assert_eq!(alice.milestone().await.milestone_id, "three");
    stack.all_is_acknowledged().await;
    let dropped = replica.metric("milestone_batches_total", "outcome=\"dropped\"").await.unwrap();
    assert!((dropped - 1.0).abs() < f64::EPSILON, "{dropped}");
}

//! The stream of commits: what was committed gets there, whatever was lost on the way.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use prost::Message as _;
use proto::{MatchId, chat::MessagesCommitted, partition, streams};
use service_kit::bus::Bus;

use crate::support::{Stack, draft, eventually, outcomes, request, send, shared};

/// The highest head of each match that the stream holds now.
async fn heads(bus: &Bus) -> BTreeMap<String, i64> {
    let mut heads = BTreeMap::new();
    let Ok(stream) = bus.jetstream().get_stream(streams::chat_events(bus.subjects()).name).await else { return heads };
    let config = async_nats::jetstream::consumer::pull::OrderedConfig::default();
    let Ok(consumer) = stream.create_consumer(config).await else { return heads };
    let count = usize::try_from(stream.cached_info().state.messages).unwrap();
    let Ok(messages) = consumer.messages().await else { return heads };
    let messages: Vec<_> = messages.take(count).collect().await;
    for message in messages {
        for head in MessagesCommitted::decode(message.unwrap().payload.clone()).unwrap().heads {
            let newest = heads.entry(head.match_id).or_insert(0);
            *newest = head.last_seq.max(*newest);
        }
    }
    heads
}

async fn committed(stack: &Stack, bus: &Bus, seq: i64) {
    let demo = BTreeMap::from([("demo".to_owned(), seq)]);
    eventually(&format!("the stream of {} knows {seq}", stack.prefix), async || heads(bus).await == demo).await;
}

#[tokio::test]
async fn a_commit_reaches_the_stream_on_its_partitions_subject() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    send(&bus, &request("demo", "alice", vec![draft("a", "x"), draft("b", "y")])).await;
    committed(&stack, &bus, 2).await;
    let stream = bus.jetstream().get_stream(streams::chat_events(bus.subjects()).name).await.unwrap();
    let last = stream.get_raw_message(stream.cached_info().state.last_sequence).await.unwrap();
    let p = partition::of(&MatchId::new("demo").unwrap());
    assert_eq!(last.subject.as_str(), bus.subjects().posted(p).as_str());
}

#[tokio::test]
async fn a_stream_that_vanished_is_made_again_with_what_it_would_hold() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    replica.put("quiet").await;
    send(&bus, &request("quiet", "alice", vec![draft("a", "x")])).await;
    send(&bus, &request("demo", "alice", vec![draft("a", "x")])).await;
    let both = |seq| BTreeMap::from([("demo".to_owned(), seq), ("quiet".to_owned(), 1)]);
    eventually("the stream knows both", async || heads(&bus).await == both(1)).await;
    bus.jetstream().delete_stream(streams::chat_events(bus.subjects()).name).await.unwrap();
    send(&bus, &request("demo", "alice", vec![draft("b", "y")])).await;
    eventually("the new stream knows both", async || heads(&bus).await == both(2)).await;
}

#[tokio::test]
async fn what_a_crash_left_unpublished_is_published_by_the_next_start() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    send(&bus, &request("demo", "alice", vec![draft("a", "x")])).await;
    committed(&stack, &bus, 1).await;
    assert!(replica.stop().await);
    // A COMMIT whose replica died before it could publish.
    let sql = stack.sql().await;
    let orphan = "WITH head AS (UPDATE matches SET last_seq = 2 WHERE match_id = 'demo')
                  INSERT INTO messages VALUES ('demo', 2, 'bob', 'orphan', NULL, false, '\"x\"', now())";
    sql.execute(orphan, &[]).await.unwrap();
    let _next = stack.replica().await;
    committed(&stack, &bus, 2).await;
}

#[tokio::test]
async fn a_repeat_of_what_a_crash_left_unpublished_is_published() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    send(&bus, &request("demo", "alice", vec![draft("a", "x")])).await;
    committed(&stack, &bus, 1).await;
    let orphan = "WITH head AS (UPDATE matches SET last_seq = 2 WHERE match_id = 'demo')
                  INSERT INTO messages VALUES ('demo', 2, 'bob', 'orphan', NULL, false, '\"x\"', now())";
    stack.sql().await.execute(orphan, &[]).await.unwrap();
    let repeat = send(&bus, &request("demo", "bob", vec![draft("orphan", "x")])).await;
    assert!(outcomes(&repeat)[0].as_ref().unwrap().duplicate);
    committed(&stack, &bus, 2).await;
}

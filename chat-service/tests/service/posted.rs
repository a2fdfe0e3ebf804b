//! The stream of commits: what was committed gets there, whatever was lost on the way.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{StreamExt, future::join_all};
use prost::Message as _;
use proto::{
    chat::{MessagesCommitted, ReplicaAnnounced, ReplicaState},
    streams,
};
use service_kit::{bus::Bus, clock};

use tokio::time::sleep;

use crate::support::{Servers, Stack, draft, eventually, outcomes, request, send, shared};

/// The highest head of each match that the stream holds now, by the events that can be decoded.
pub(crate) async fn heads(bus: &Bus) -> BTreeMap<String, i64> {
    let mut heads = BTreeMap::new();
    let Ok(stream) = bus.jetstream().get_stream(streams::chat_events(bus.subjects()).name).await else { return heads };
    let config = async_nats::jetstream::consumer::pull::OrderedConfig::default();
    let Ok(consumer) = stream.create_consumer(config).await else { return heads };
    let count = usize::try_from(stream.cached_info().state.messages).unwrap();
    let Ok(messages) = consumer.messages().await else { return heads };
    let messages: Vec<_> = messages.take(count).collect().await;
    for message in messages {
        let Ok(event) = MessagesCommitted::decode(message.unwrap().payload.clone()) else { continue };
        for head in event.heads {
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

/// A COMMIT of a replica that died before it could publish.
pub(crate) async fn orphan(stack: &Stack, id: &str, seq: i64, age: &str) {
    let orphan = format!(
        "WITH head AS (UPDATE matches SET last_seq = {seq} WHERE match_id = '{id}')
         INSERT INTO messages VALUES ('{id}', {seq}, 'bob', 'orphan', NULL, false, '\"x\"', now() - interval '{age}')"
    );
    stack.sql().await.execute(&orphan, &[]).await.unwrap();
}

#[tokio::test]
async fn the_commits_of_a_moment_reach_the_stream_as_one_event_whatever_their_partitions() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    let names: Vec<_> = (0..20).map(|n| format!("m{n}")).collect();
    for name in &names {
        replica.put(name).await;
    }
    let requests: Vec<_> = names.iter().map(|name| request(name, "alice", vec![draft("a", "x")])).collect();
    join_all(requests.iter().map(|request| send(&bus, request))).await;
    let all: BTreeMap<_, _> = names.into_iter().map(|name| (name, 1)).collect();
    eventually("the stream knows all", async || heads(&bus).await == all).await;
    let stream = bus.jetstream().get_stream(streams::chat_events(bus.subjects()).name).await.unwrap();
    let events = stream.cached_info().state.messages;
    // The repair of a new stream, the first commit at once, and what gathered meanwhile.
    assert!(events <= 3, "{events} events");
    let last = stream.get_raw_message(stream.cached_info().state.last_sequence).await.unwrap();
    assert_eq!(last.subject.as_str(), bus.subjects().posted().as_str());
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
    orphan(&stack, "demo", 2, "0").await;
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
    orphan(&stack, "demo", 2, "0").await;
    let repeat = send(&bus, &request("demo", "bob", vec![draft("orphan", "x")])).await;
    assert!(outcomes(&repeat)[0].as_ref().unwrap().duplicate);
    committed(&stack, &bus, 2).await;
}

/// Another replica that says so, for a while, and then nothing more.
async fn announce(bus: &Bus, state: ReplicaState, times: usize) {
    let published_ms = clock::unix_ms();
    for _ in 0..times {
        let announced = ReplicaAnnounced { replica_id: "other".into(), state: state.into(), published_ms };
        bus.publish(&bus.subjects().replica(), &announced).await.unwrap();
        sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn what_a_dead_replica_left_unpublished_the_others_publish_without_a_clients_help() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    send(&bus, &request("demo", "alice", vec![draft("a", "x")])).await;
    committed(&stack, &bus, 1).await;
    announce(&bus, ReplicaState::Serving, 3).await;
    orphan(&stack, "demo", 2, "0").await;
    announce(&bus, ReplicaState::Serving, 2).await;
    assert_eq!(heads(&bus).await["demo"], 1, "it may still publish this itself");
    committed(&stack, &bus, 2).await;
}

#[tokio::test]
async fn a_repair_that_finds_no_stream_makes_it_again() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    send(&bus, &request("demo", "alice", vec![draft("a", "x")])).await;
    committed(&stack, &bus, 1).await;
    announce(&bus, ReplicaState::Serving, 3).await;
    orphan(&stack, "demo", 2, "0").await;
    bus.jetstream().delete_stream(streams::chat_events(bus.subjects()).name).await.unwrap();
    // The other replica is found dead, and nobody else makes the stream.
    committed(&stack, &bus, 2).await;
}

#[tokio::test]
async fn the_watermark_waits_for_the_slowest_replica() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    let slow = async || {
        let announced =
            ReplicaAnnounced { replica_id: "slow".into(), state: ReplicaState::Serving.into(), published_ms: 12_345 };
        bus.publish(&bus.subjects().replica(), &announced).await.unwrap();
        bus.flush().await.unwrap();
    };
    let newest = async || {
        let stream = bus.jetstream().get_stream(streams::chat_events(bus.subjects()).name).await.unwrap();
        let last = stream.get_raw_message(stream.cached_info().state.last_sequence).await.unwrap();
        MessagesCommitted::decode(last.payload).unwrap().watermark_ms
    };
    crate::support::send_reliably(&bus, &request("demo", "alice", vec![draft("a", "x")])).await;
    committed(&stack, &bus, 1).await;
    slow().await;
    eventually("an event waits for it", async || {
        slow().await;
        let next = draft(&format!("c{}", fastrand::u64(..)), "x");
        crate::support::send_reliably(&bus, &request("demo", "alice", vec![next])).await;
        sleep(Duration::from_millis(50)).await;
        newest().await == 12_345
    })
    .await;
}

#[tokio::test]
async fn after_a_wipe_of_nats_all_heads_are_in_the_new_stream_at_once_however_old_they_are() {
    let mut servers = Servers::start().await;
    let stack = servers.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    send(&bus, &request("demo", "alice", vec![draft("a", "x")])).await;
    committed(&stack, &bus, 1).await;
    replica.put("old").await;
    orphan(&stack, "old", 1, "100 days").await;
    servers.nats.kill();
    servers.wipe_nats();
    servers.nats.start_again().await.unwrap();
    let both = BTreeMap::from([("demo".to_owned(), 1), ("old".to_owned(), 1)]);
    eventually("NATS is back", async || bus.flush().await.is_ok()).await;
    let back = tokio::time::Instant::now();
    eventually("the new stream knows all", async || heads(&bus).await == both).await;
    assert!(back.elapsed() < Duration::from_secs(5), "{:?}", back.elapsed());
}

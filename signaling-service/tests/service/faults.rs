//! Parties that vanish, and a Redis that is wiped, down and back.

use std::time::Duration;

use local_stack::servers::Redis;
use proto::signaling::CallCode;
use tokio::time::{Instant, sleep};

use crate::{
    party::code,
    support::{Stack, eventually, folder},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_party_whose_lease_lapses_ends_the_call_for_the_other() {
    let stack = Stack::new().await;
    let _replicas = (stack.replica(&["--lease-s", "2"]).await, stack.replica(&["--lease-s", "2"]).await);
    stack.put_unlocked("demo", ["alice", "bob"]).await;
    let (mut alice, bob) = (stack.party("demo", "alice", "a").await, stack.party("demo", "bob", "b").await);
    alice.ring().await.unwrap();
    bob.accept().await.unwrap();
    alice.hears().await;
    for _ in 0..2 {
        sleep(Duration::from_millis(500)).await;
        alice.renew().await.unwrap();
    }
    let renewed = Instant::now();
    assert_eq!(alice.hears_end().await, "connection_lost");
    // Bob's lease of two seconds ended it, and not Alice's.
    assert!(renewed.elapsed() < Duration::from_millis(1_900));
    assert_eq!(code(alice.renew().await), CallCode::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn renewed_leases_keep_a_call_alive() {
    let stack = Stack::new().await;
    let _replica = stack.replica(&["--lease-s", "1"]).await;
    stack.put_unlocked("demo", ["alice", "bob"]).await;
    let (alice, bob) = (stack.party("demo", "alice", "a").await, stack.party("demo", "bob", "b").await);
    alice.ring().await.unwrap();
    bob.accept().await.unwrap();
    for _ in 0..8 {
        sleep(Duration::from_millis(300)).await;
        alice.renew().await.unwrap();
        bob.renew().await.unwrap();
    }
    alice.signal("still here").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_has_a_longest_life() {
    let stack = Stack::new().await;
    let _replica = stack.replica(&["--max-call-s", "1"]).await;
    stack.put_unlocked("demo", ["alice", "bob"]).await;
    let (mut alice, bob) = (stack.party("demo", "alice", "a").await, stack.party("demo", "bob", "b").await);
    alice.ring().await.unwrap();
    bob.accept().await.unwrap();
    alice.hears().await;
    assert_eq!(alice.hears_end().await, "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_redis_loses_live_calls_and_nothing_else() {
    let dir = folder();
    let redis = Redis::start(dir.path()).await.unwrap();
    let stack = Stack::on(redis.url().to_owned()).await;
    let replica = stack.replica(&[]).await;
    stack.put_unlocked("demo", ["alice", "bob"]).await;
    let (alice, bob) = (stack.party("demo", "alice", "a").await, stack.party("demo", "bob", "b").await);
    let call = alice.ring().await.unwrap();
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("FLUSHALL").exec_async(&mut connection).await.unwrap();
    for outcome in [bob.accept().await, bob.reject().await, alice.end().await, alice.renew().await] {
        assert_eq!(code(outcome), CallCode::NotFound);
    }
    assert_ne!(alice.ring().await.unwrap().call_id, call.call_id);
    bob.accept().await.unwrap();
    assert!(replica.is_ready());
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_down_calls_are_unavailable_at_once_and_work_again_after() {
    let dir = folder();
    let mut redis = Redis::start(dir.path()).await.unwrap();
    let stack = Stack::on(redis.url().to_owned()).await;
    let replica = stack.replica(&[]).await;
    stack.put_unlocked("demo", ["alice", "bob"]).await;
    let (alice, bob) = (stack.party("demo", "alice", "a").await, stack.party("demo", "bob", "b").await);
    redis.kill();
    eventually("the replica is not ready", async || !replica.is_ready()).await;
    let asked = Instant::now();
    assert_eq!(code(alice.ring().await), CallCode::Unavailable);
    assert!(asked.elapsed() < Duration::from_secs(2));
    redis.start_again().await.unwrap();
    eventually("the replica is ready", async || replica.is_ready()).await;
    alice.ring().await.unwrap();

    redis.freeze();
    let asked = Instant::now();
    assert_eq!(code(bob.reject().await), CallCode::Unavailable);
    assert!(asked.elapsed() < Duration::from_secs(2));
    redis.thaw();
    eventually("the replica is ready", async || replica.is_ready()).await;
    bob.accept().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_stops_in_good_order_and_another_goes_on() {
    let stack = Stack::new().await;
    let (first, _second) = (stack.replica(&[]).await, stack.replica(&[]).await);
    stack.put_unlocked("demo", ["alice", "bob"]).await;
    let (alice, bob) = (stack.party("demo", "alice", "a").await, stack.party("demo", "bob", "b").await);
    alice.ring().await.unwrap();
    assert!(first.stop().await);
    bob.accept().await.unwrap();
    alice.end().await.unwrap();
}

//! How often somebody may ring, and what calls cost Redis.

use std::time::Duration;

use local_stack::servers::Redis;
use proto::signaling::{
    CallCode, CallFailure,
    call_request::{Command, End},
};
use tokio::time::{Instant, sleep};

use crate::{
    party::{Party, code},
    support::{Stack, folder},
};

async fn ring_and_cancel(party: &Party) -> Result<(), CallFailure> {
    party.ring().await?;
    party.end().await?;
    Ok(())
}

async fn refusal_of_ring(party: &Party) -> CallFailure {
    party.ring().await.expect_err("a refusal")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seventh_ring_of_a_minute_in_a_match_is_refused_whatever_replica_and_device() {
    let stack = Stack::new().await;
    let _replicas = (stack.replica(&[]).await, stack.replica(&[]).await);
    stack.put_unlocked("demo", ["alice", "bob"]).await;
    stack.put_unlocked("other", ["alice", "carol"]).await;
    let (phone, laptop) = (stack.party("demo", "alice", "phone").await, stack.party("demo", "alice", "laptop").await);
    for party in [&phone, &laptop, &phone, &laptop, &phone] {
        ring_and_cancel(party).await.unwrap();
    }
    let call = phone.ring().await.unwrap();
    for _ in 0..10 {
        assert_eq!(phone.ring().await.unwrap().call_id, call.call_id, "a repeat is not counted");
        assert_eq!(refusal_of_ring(&laptop).await.code(), CallCode::Busy, "nor is what is refused");
    }
    phone.end().await.unwrap();
    for party in [&phone, &laptop] {
        let refused = refusal_of_ring(party).await;
        let wait_ms = refused.retry_after_ms.unwrap();
        assert_eq!(refused.code(), CallCode::RateLimited);
        assert!((1..=60_000).contains(&wait_ms), "{wait_ms}");
    }
    ring_and_cancel(&stack.party("other", "alice", "phone").await).await.unwrap();
    ring_and_cancel(&stack.party("demo", "bob", "b").await).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_as_long_as_told_may_ring_again() {
    let stack = Stack::new().await;
    let _replica = stack.replica(&["--limit-rings-match", "2/1"]).await;
    stack.put_unlocked("demo", ["alice", "bob"]).await;
    let alice = stack.party("demo", "alice", "a").await;
    for _ in 0..2 {
        let started = Instant::now();
        let refused = loop {
            if let Err(refused) = ring_and_cancel(&alice).await {
                break refused;
            }
            assert!(started.elapsed() < Duration::from_secs(5), "never refused");
        };
        sleep(Duration::from_millis(refused.retry_after_ms.unwrap().unsigned_abs())).await;
        ring_and_cancel(&alice).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_matches_of_a_caller_share_a_limit() {
    let stack = Stack::new().await;
    let _replicas = (stack.replica(&[]).await, stack.replica(&[]).await);
    let mut parties = Vec::new();
    for n in 0..5 {
        let (id, other) = (format!("m{n}"), format!("bob{n}"));
        stack.put_unlocked(&id, ["alice", &other]).await;
        parties.push(stack.party(&id, "alice", "a").await);
    }
    for party in parties.iter().cycle().take(20) {
        ring_and_cancel(party).await.unwrap();
    }
    for party in &parties {
        assert_eq!(refusal_of_ring(party).await.code(), CallCode::RateLimited);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_busy_cannot_be_watched_by_ringing() {
    let stack = Stack::new().await;
    let _replica = stack.replica(&[]).await;
    stack.put_unlocked("ab", ["alice", "bob"]).await;
    stack.put_unlocked("bc", ["bob", "carol"]).await;
    let alice = stack.party("ab", "alice", "a").await;
    let carol = stack.party("bc", "carol", "c").await;
    alice.ring().await.unwrap();
    for _ in 0..6 {
        let busy = refusal_of_ring(&carol).await;
        assert_eq!((busy.code(), busy.call_id, busy.elsewhere), (CallCode::Busy, None, false));
    }
    let while_busy = refusal_of_ring(&carol).await;
    alice.end().await.unwrap();
    let while_free = refusal_of_ring(&carol).await;
    assert_eq!((while_busy.code(), while_free.code()), (CallCode::RateLimited, CallCode::RateLimited));
}

#[tokio::test(flavor = "multi_thread")]
async fn media_of_more_than_two_kilobytes_are_refused_and_start_nothing() {
    let stack = Stack::new().await;
    let _replica = stack.replica(&[]).await;
    stack.put_unlocked("demo", ["alice", "bob"]).await;
    let alice = stack.party("demo", "alice", "a").await;
    let media = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    for _ in 0..7 {
        assert_eq!(code(alice.ring_with(&media(2_049)).await), CallCode::PayloadTooLarge);
    }
    assert_eq!(code(alice.end().await), CallCode::NotFound);
    alice.ring_with(&media(2_048)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_rings_and_cancels_cost_redis_less_than_two_megabytes() {
    const CALLERS: usize = 200;
    let dir = folder();
    let redis = Redis::start(dir.path()).await.unwrap();
    let stack = Stack::on(redis.url().to_owned()).await;
    let _replica = stack.replica(&[]).await;
    let mut parties = Vec::new();
    for n in 0..CALLERS {
        let (id, alice, bob) = (format!("m{n}"), format!("alice{n}"), format!("bob{n}"));
        stack.put_unlocked(&id, [&alice, &bob]).await;
        parties.push(stack.party(&id, &alice, "a").await);
    }
    let before = used_memory(&redis).await;
    let media = format!("\"{}\"", "m".repeat(2_000));
    let bye = Command::End(End { signal: Some(format!("\"{}\"", "s".repeat(60_000))), reason: None });
    let mut peak = 0_i64;
    for _ in 0..5 {
        for party in &parties {
            party.ring_with(&media).await.unwrap();
            party.ask(None, bye.clone()).await.unwrap();
        }
        peak = peak.max(used_memory(&redis).await - before);
    }
    assert!(peak < 2_000_000, "{peak} bytes");
}

async fn used_memory(redis: &Redis) -> i64 {
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let info: String = redis::cmd("INFO").arg("memory").query_async(&mut connection).await.unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    line.trim().parse().unwrap()
}

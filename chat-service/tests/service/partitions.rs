//! Replicas come, go, die and freeze; each partition has its owner, and sends go on.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use proto::{chat::Code, partition::PARTITIONS};
use service_kit::bus::Bus;
use tokio::time::{Instant, sleep};

use crate::support::{Inbox, Replica, draft, eventually, inbox, outcomes, request, send, send_reliably, shared};

const MATCHES: usize = 8;

fn owned(replica: &Replica) -> BTreeSet<u8> {
    replica.app.owned_partitions()
}

fn share_everything(replicas: &[&Replica]) -> bool {
    let shares: Vec<_> = replicas.iter().map(|replica| owned(replica)).collect();
    let count: usize = shares.iter().map(BTreeSet::len).sum();
    count == usize::from(PARTITIONS) && shares.iter().flatten().collect::<BTreeSet<_>>().len() == count
}

async fn eventually_share(replicas: &[&Replica], within: Duration) {
    let started = Instant::now();
    eventually("all partitions are shared", async || share_everything(replicas)).await;
    assert!(started.elapsed() < within, "it took {:?}", started.elapsed());
}

fn ids() -> Vec<String> {
    (0..MATCHES).map(|n| format!("m{n}")).collect()
}

/// Both members of all matches send as gateways do until told to stop: no send may fail, or take longer than until
/// another replica is asked. Returns how many messages each match has.
async fn send_all_along(bus: &Bus, stop: &AtomicBool) -> BTreeMap<String, usize> {
    let senders = ids().into_iter().flat_map(|id| ["alice", "bob"].map(|user| (id.clone(), user)));
    let sent = join_all(senders.map(async |(id, user)| {
        let mut sent = 0;
        while !stop.load(Ordering::Relaxed) {
            let started = Instant::now();
            let results = send_reliably(bus, &request(&id, user, vec![draft(&format!("{user}-{sent}"), "x")])).await;
            assert!(matches!(results[..], [Ok(_)]), "{results:?}");
            assert!(started.elapsed() < Duration::from_millis(1_500), "{:?}", started.elapsed());
            sent += 1;
        }
        (id, sent)
    }))
    .await;
    let mut counts = BTreeMap::new();
    for (id, count) in sent {
        *counts.entry(id).or_default() += count;
    }
    counts
}

/// Everything that was sent is heard once. Returns how many events came out of order.
async fn hear_all(inbox: &mut Inbox, counts: &BTreeMap<String, usize>) -> usize {
    let mut heard: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for message in inbox.messages(counts.values().sum()).await {
        heard.entry(message.match_id).or_default().push(message.seq);
    }
    let mut disordered = 0;
    for (id, mut seqs) in heard {
        disordered += seqs.windows(2).filter(|pair| pair[0] > pair[1]).count();
        seqs.sort_unstable();
        assert_eq!(seqs, (1..).take(counts[&id]).collect::<Vec<_>>());
    }
    disordered
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_and_goes_gracefully_lets_no_send_fail() {
    let stack = shared().await.stack().await;
    let (one, bus) = (stack.replica().await, stack.bus().await);
    assert_eq!(owned(&one).len(), usize::from(PARTITIONS));
    for id in ids() {
        one.put(&id).await;
    }
    let mut bob = inbox(&bus, "bob").await;
    let stop = AtomicBool::new(false);
    let changes = async {
        for _ in 0..3 {
            let two = stack.replica().await;
            eventually_share(&[&one, &two], Duration::from_secs(1)).await;
            sleep(Duration::from_millis(200)).await;
            let started = Instant::now();
            let alone = [&one];
            let (stopped, ()) = tokio::join!(two.stop(), eventually_share(&alone, Duration::from_secs(1)));
            assert!(stopped && started.elapsed() < Duration::from_secs(3));
        }
        stop.store(true, Ordering::Relaxed);
    };
    let (counts, ()) = tokio::join!(send_all_along(&bus, &stop), changes);
    hear_all(&mut bob, &counts).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_that_share_the_partitions_tell_everything_in_order() {
    let stack = shared().await.stack().await;
    let (one, two, bus) = (stack.replica().await, stack.replica().await, stack.bus().await);
    eventually_share(&[&one, &two], Duration::from_secs(1)).await;
    for id in ids() {
        one.put(&id).await;
    }
    let mut bob = inbox(&bus, "bob").await;
    let stop = AtomicBool::new(false);
    let some_time = async {
        sleep(Duration::from_secs(1)).await;
        stop.store(true, Ordering::Relaxed);
    };
    let (counts, ()) = tokio::join!(send_all_along(&bus, &stop), some_time);
    assert_eq!(hear_all(&mut bob, &counts).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_partitions_of_a_killed_replica_move_within_three_seconds_and_sends_go_on_at_once() {
    let stack = shared().await.stack().await;
    let (one, two, bus) = (stack.replica().await, stack.process().await, stack.bus().await);
    for id in ids() {
        one.put(&id).await;
    }
    eventually("they share", async || owned(&one).len() < usize::from(PARTITIONS)).await;
    two.signal("KILL");
    let started = Instant::now();
    for id in ids() {
        let results = send_reliably(&bus, &request(&id, "alice", vec![draft("a", "x")])).await;
        assert_eq!(results[0].as_ref().unwrap().seq, 1);
    }
    // A request that the dead one had received is asked again after a second.
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    eventually("one owns all", async || owned(&one).len() == usize::from(PARTITIONS)).await;
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_frozen_past_its_time_does_no_harm_and_takes_its_share_again() {
    let stack = shared().await.stack().await;
    let (one, two, bus) = (stack.replica().await, stack.process().await, stack.bus().await);
    for id in ids() {
        one.put(&id).await;
    }
    eventually("they share", async || owned(&one).len() < usize::from(PARTITIONS)).await;
    let share = owned(&one);
    let stop = AtomicBool::new(false);
    let senders = join_all(ids().into_iter().map(async |id| {
        let mut sent: i64 = 0;
        while !stop.load(Ordering::Relaxed) {
            let drafts = vec![draft(&format!("c{sent}"), "x")];
            let results = send_reliably(&bus, &request(&id, "alice", drafts)).await;
            sent += 1;
            assert_eq!(results[0].as_ref().map(|stored| stored.seq), Ok(sent));
        }
        (id, sent)
    }));
    let faults = async {
        for _ in 0..2 {
            sleep(Duration::from_millis(100)).await;
            two.signal("STOP");
            eventually("one owns all", async || owned(&one).len() == usize::from(PARTITIONS)).await;
            sleep(Duration::from_millis(300)).await;
            two.signal("CONT");
            eventually("they share as before", async || owned(&one) == share).await;
        }
        stop.store(true, Ordering::Relaxed);
    };
    let (sent, ()) = tokio::join!(senders, faults);
    for (id, sent) in sent {
        assert_eq!(one.get(&id).await.last_seq, sent, "nothing twice in {id}");
    }
}

#[tokio::test]
async fn two_stacks_with_different_prefixes_do_not_see_each_other() {
    let servers = shared().await;
    let (ours, theirs) = (servers.stack().await, servers.stack().await);
    let (one, two) = (ours.replica().await, theirs.replica().await);
    let (our_bus, their_bus) = (ours.bus().await, theirs.bus().await);
    one.put("demo").await;
    two.put("demo").await;
    one.put("ours").await;
    let mut their_bob = inbox(&their_bus, "bob").await;
    assert_eq!(send(&our_bus, &request("demo", "alice", vec![draft("a", "x")])).await.len(), 1);
    let foreign = send(&their_bus, &request("ours", "alice", vec![draft("a", "x")])).await;
    assert_eq!(outcomes(&foreign), [Err(Code::MatchNotFound)]);
    assert!(their_bob.rest().await.is_empty());
    assert_eq!((one.get("demo").await.last_seq, two.get("demo").await.last_seq), (1, 0));
    // Neither counts the other among its replicas.
    assert!(share_everything(&[&one]) && share_everything(&[&two]));
}

//! Many senders, matches, lanes and replicas at once.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use proto::chat::{Code, SendRequest, Stored};
use service_kit::bus::Bus;

use crate::support::{draft, eventually, inbox, outcomes, request, send, send_reliably, send_to_any, seqs, shared};

/// The seqs of three messages a round, each round after the one before is acked.
async fn send_rounds(bus: &Bus, id: &str, user: &str, rounds: usize) -> Vec<i64> {
    let mut seqs = Vec::new();
    for round in 0..rounds {
        let drafts = (0..3).map(|n| draft(&format!("{round}-{n}"), &format!("{user} {round} {n}"))).collect();
        let results = outcomes(&send(bus, &request(id, user, drafts)).await);
        seqs.extend(results.into_iter().map(|result| result.unwrap().seq));
    }
    assert!(seqs.is_sorted(), "a sender's messages keep their order");
    seqs
}

/// All at once. Every other one goes past the owner, so that several replicas commit the same match.
async fn send_past_each_other(bus: &Bus, requests: &[SendRequest]) -> Vec<Vec<Result<Stored, Code>>> {
    join_all(requests.iter().enumerate().map(async |(n, request)| {
        if n % 2 == 0 { send_reliably(bus, request).await } else { send_to_any(bus, request).await }
    }))
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seqs_have_no_gap_and_events_keep_their_order_under_concurrent_senders() {
    const MATCHES: usize = 6;
    const ROUNDS: usize = 40;
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    for n in 0..MATCHES {
        replica.put(&format!("m{n}")).await;
    }
    let mut bob = inbox(&bus, "bob").await;
    let senders = (0..MATCHES).flat_map(|n| ["alice", "bob"].map(|user| (format!("m{n}"), user)));
    let acked = join_all(senders.map(async |(id, user)| {
        let seqs = send_rounds(&bus, &id, user, ROUNDS).await;
        (id, seqs)
    }))
    .await;

    let mut by_match: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
    for (id, seqs) in acked {
        by_match.entry(id).or_default().extend(seqs);
    }
    let total = i64::try_from(2 * 3 * ROUNDS).unwrap();
    for seqs in by_match.values() {
        assert_eq!(seqs, &(1..=total).collect::<BTreeSet<_>>());
    }
    let mut heard: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for message in bob.messages(MATCHES * 2 * 3 * ROUNDS).await {
        heard.entry(message.match_id).or_default().push(message.seq);
    }
    for seqs in heard.values() {
        assert_eq!(seqs, &(1..=total).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_migrate_at_once_and_store_a_repeat_once() {
    let stack = shared().await.stack().await;
    let (one, two) = tokio::join!(stack.launch(), stack.launch());
    tokio::join!(one.ready(), two.ready());
    let bus = stack.bus().await;
    one.put("demo").await;
    for round in 0..30 {
        let same =
            request("demo", "alice", vec![draft(&format!("c{round}"), "same"), draft(&format!("d{round}"), "same")]);
        let results = send_past_each_other(&bus, &vec![same; 8]).await;
        let seqs: BTreeSet<Vec<i64>> =
            results.iter().map(|results| results.iter().map(|result| result.as_ref().unwrap().seq).collect()).collect();
        assert_eq!(seqs, BTreeSet::from([vec![2 * round + 1, 2 * round + 2]]));
        let firsts = results.iter().filter(|results| !results[0].as_ref().unwrap().duplicate).count();
        assert_eq!(firsts, 1);
    }
    assert_eq!(two.get("demo").await.last_seq, 60);
    assert!(one.stop().await && two.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_bodies_under_one_client_id_one_wins_across_replicas() {
    let stack = shared().await.stack().await;
    let (maker, bus) = (stack.replica().await, stack.bus().await);
    maker.put("demo").await;
    let others = [stack.process().await, stack.process().await];
    for round in 0..20 {
        let bodies = (0..6).map(|n| request("demo", "alice", vec![draft(&format!("c{round}"), &format!("body {n}"))]));
        let results = send_past_each_other(&bus, &bodies.collect::<Vec<_>>()).await;
        let stored = results.iter().flatten().filter(|result| result.is_ok()).count();
        let conflicts = results.iter().flatten().filter(|result| **result == Err(Code::IdempotencyConflict)).count();
        assert_eq!((stored, conflicts), (1, 5));
    }
    assert_eq!(maker.get("demo").await.last_seq, 20);
    // At most one of the two is the owner.
    for other in &others {
        assert!(other.metric("chat_sends").await >= 1.0, "it was asked too");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_before_a_stop_is_answered_and_told() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    let mut bob = inbox(&bus, "bob").await;
    let requests: Vec<_> =
        (0..200).map(|n| request("demo", "alice", vec![draft(&format!("c{n}"), &format!("{n}"))])).collect();
    let sends = join_all(requests.iter().map(|request| crate::support::try_send(&bus, request)));
    let (answers, (heard, stopped)) = tokio::join!(sends, async {
        // An event may carry several.
        let heard = bob.messages(1).await.len();
        (heard, replica.stop().await)
    });
    assert!(stopped);
    let acked = answers.iter().flatten().flat_map(|reply| outcomes(&reply.results)).flatten().count();
    // What was heard above is acked too.
    assert!(acked >= heard);
    assert_eq!(bob.messages(acked - heard).await.len(), acked - heard);
    let rows = stack.sql().await.query_one("SELECT count(*) FROM messages", &[]).await.unwrap();
    assert_eq!(usize::try_from(rows.get::<_, i64>(0)).unwrap(), acked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_cannot_be_stored_fails_alone() {
    let stack = shared().await.stack().await;
    let (replica, bus, sql) = (stack.replica().await, stack.bus().await, stack.sql().await);
    sql.batch_execute("ALTER TABLE messages ADD CHECK (body <> '\"poison\"')").await.unwrap();
    let ids: Vec<String> = (0..40).map(|n| format!("m{n}")).collect();
    join_all(ids.iter().map(|id| replica.put(id))).await;
    let is_bad = |n: usize| n.is_multiple_of(10);
    let text = |n: usize| if is_bad(n) { "poison" } else { "fine" };
    let requests: Vec<_> =
        ids.iter().enumerate().map(|(n, id)| request(id, "alice", vec![draft("a", text(n))])).collect();
    let results = join_all(requests.iter().map(|request| send_reliably(&bus, request))).await;
    for (n, result) in results.into_iter().enumerate() {
        let stored = result[0].clone().map(|stored| stored.seq);
        assert_eq!(stored, if is_bad(n) { Err(Code::Internal) } else { Ok(1) });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_while_a_batch_commits_goes_together_in_the_next() {
    let stack = shared().await.stack().await.patient();
    let (maker, bus, mut sql) = (stack.replica().await, stack.bus().await, stack.sql().await);
    let ids: Vec<String> = (0..40).map(|n| format!("m{n}")).collect();
    join_all(ids.iter().map(|id| maker.put(id))).await;
    assert!(maker.stop().await);
    let replica = stack.process().await;
    let requests: Vec<_> = ids.iter().map(|id| request(id, "alice", vec![draft("a", "x")])).collect();
    let rows_locked = sql.transaction().await.unwrap();
    rows_locked.execute("SELECT 1 FROM matches FOR UPDATE", &[]).await.unwrap();
    let (results, ()) = tokio::join!(join_all(requests.iter().map(|request| send(&bus, request))), async {
        eventually("all are queued", async || replica.metric("chat_queue_depth").await >= 40.0).await;
        rows_locked.rollback().await.unwrap();
    });
    assert!(results.iter().all(|results| seqs(results) == [1]));
    assert!(replica.metric("chat_commit_rows_sum").await >= 40.0);
    let commits = replica.metric("chat_commit_rows_count").await;
    assert!(commits < 20.0, "{commits} commits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_match_that_somebody_locks_does_not_hold_up_the_others() {
    let stack = shared().await.stack().await;
    let (replica, bus, mut sql) = (stack.replica().await, stack.bus().await, stack.sql().await);
    let ids: Vec<String> = (0..40).map(|n| format!("m{n}")).collect();
    join_all(ids.iter().map(|id| replica.put(id))).await;
    let transaction = sql.transaction().await.unwrap();
    transaction.execute("SELECT 1 FROM matches WHERE match_id = 'm7' FOR UPDATE", &[]).await.unwrap();
    let requests: Vec<_> = ids.iter().map(|id| request(id, "alice", vec![draft("a", "x")])).collect();
    let results = join_all(requests.iter().map(|request| send(&bus, request))).await;
    for (id, result) in ids.iter().zip(results) {
        let stored = outcomes(&result)[0].clone().map(|stored| stored.seq);
        assert_eq!(stored, if id == "m7" { Err(Code::Unavailable) } else { Ok(1) }, "{id}");
    }
    transaction.rollback().await.unwrap();
    let unlocked = request("m7", "alice", vec![draft("a", "x")]);
    assert_eq!(send_reliably(&bus, &unlocked).await[0].as_ref().unwrap().seq, 1);
}

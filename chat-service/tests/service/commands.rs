//! Sends, milestones and closings of the same matches at once.

use futures_util::future::{join, join_all};
use proto::chat::{CloseMatchRequest, RecordMilestoneRequest};
use tonic::Code;

use crate::support::{Replica, draft, inbox, outcomes, places, request, send, shared};

fn close(id: &str) -> CloseMatchRequest {
    CloseMatchRequest { match_id: id.to_owned() }
}

async fn record(replica: &Replica, milestone: usize) {
    let (milestone_id, threshold) = (format!("m{milestone}"), 1);
    let record = RecordMilestoneRequest {
        match_id: "demo".into(),
        milestone_id,
        threshold,
        unlocks: vec![],
        ..RecordMilestoneRequest::default()
    };
    replica.rpc().record_milestone(record).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_members_hear_everything_in_the_order_in_which_it_was_committed() {
    let stack = shared().await.stack().await;
    let (replica, bus) = (stack.replica().await, stack.bus().await);
    replica.put("demo").await;
    let mut bob = inbox(&bus, "bob").await;
    send(&bus, &request("demo", "alice", vec![draft("first", "x")])).await;
    let drafts = |n: usize| vec![draft(&format!("c{n}"), "x"), draft(&format!("d{n}"), "y")];
    let requests: Vec<_> = (0..30).map(|n| request("demo", "alice", drafts(n))).collect();
    let sends = join_all(requests.iter().map(|request| send(&bus, request)));
    join(sends, join_all((0..15).map(|n| record(&replica, n)))).await;
    replica.rpc().close_match(close("demo")).await.unwrap();
    let heard: Vec<_> = bob.rest().await.into_iter().flat_map(places).collect();
    assert!(heard.is_sorted(), "{heard:?}");
    assert_eq!(heard.len(), 61 + 15 + 1);
    assert_eq!(heard.last(), Some(&(61, 16)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_behind_a_closing_is_refused_by_whichever_replica_is_asked() {
    let stack = shared().await.stack().await;
    let (one, two, bus) = (stack.replica().await, stack.replica().await, stack.bus().await);
    let ids: Vec<String> = (0..20).map(|n| format!("m{n}")).collect();
    join_all(ids.iter().map(|id| one.put(id))).await;
    let results = join_all(ids.iter().enumerate().map(async |(n, id)| {
        let mut rpc = if n % 2 == 0 { one.rpc() } else { two.rpc() };
        let request = request(id, "alice", vec![draft("a", "x")]);
        let (sent, _) = join(send(&bus, &request), async { rpc.close_match(close(id)).await.unwrap() }).await;
        (sent, send(&bus, &request).await)
    }))
    .await;
    for (id, (first, again)) in ids.iter().zip(results) {
        let (first, again) = (outcomes(&first).remove(0), outcomes(&again).remove(0));
        assert_eq!(first.is_ok(), again.is_ok(), "what was stored is a repeat, what was refused stays refused");
        assert_eq!(one.get(id).await.last_seq, i64::from(first.is_ok()));
    }
}

#[tokio::test]
async fn a_closing_that_waits_for_a_lock_for_too_long_closes_nothing() {
    let stack = shared().await.stack().await;
    let (replica, mut sql) = (stack.replica().await, stack.sql().await);
    replica.put("demo").await;
    let transaction = sql.transaction().await.unwrap();
    transaction.execute("SELECT 1 FROM matches WHERE match_id = 'demo' FOR UPDATE", &[]).await.unwrap();
    let refused = replica.rpc().close_match(close("demo")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    transaction.rollback().await.unwrap();
    assert_eq!(replica.get("demo").await.closed_at_ms, None);
    replica.rpc().close_match(close("demo")).await.unwrap();
    assert!(replica.get("demo").await.closed_at_ms.is_some());
}

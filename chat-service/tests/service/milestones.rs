//! Milestones: recorded once, announced once, whoever crashes in between.

use std::time::Duration;

use futures_util::future::join_all;
use local_stack::proxy::{Condition, Proxy};
use proto::{
    chat::{RecordMilestoneRequest, RecordMilestoneResponse},
    inbox::chat_event::Event,
};
use tonic::{Code, Status};

use crate::support::{Inbox, Replica, Stack, draft, eventually, inbox, request, send, shared};

fn record(threshold: i64) -> RecordMilestoneRequest {
    RecordMilestoneRequest {
        match_id: "demo".into(),
        milestone_id: format!("at-{threshold}"),
        threshold,
        unlocks: vec!["video_call".into()],
        ..RecordMilestoneRequest::default()
    }
}

async fn recorded(replica: &Replica, threshold: i64) -> Result<RecordMilestoneResponse, Status> {
    Ok(replica.rpc().record_milestone(record(threshold)).await?.into_inner())
}

/// A match with five messages.
async fn five_messages(stack: &Stack, replica: &Replica) {
    replica.put("demo").await;
    let drafts = (0..5).map(|n| draft(&n.to_string(), "x")).collect();
    send(&stack.bus().await, &request("demo", "alice", drafts)).await;
}

/// The next one that is announced, whatever is heard of messages before.
async fn next_milestone(inbox: &mut Inbox) -> String {
    loop {
        if let Event::MilestoneReached(reached) = inbox.next().await {
            return reached.milestone.unwrap().milestone_id;
        }
    }
}

async fn milestones_heard(inbox: &mut Inbox) -> Vec<String> {
    let told = inbox.rest().await.into_iter().filter_map(|event| match event {
        Event::MilestoneReached(reached) => Some(reached.milestone.unwrap().milestone_id),
        _ => None,
    });
    told.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_concurrent_calls_a_milestone_is_recorded_and_announced_once() {
    let stack = shared().await.stack().await;
    let (one, two, bus) = (stack.replica().await, stack.replica().await, stack.bus().await);
    five_messages(&stack, &one).await;
    let (mut alice, mut bob) = (inbox(&bus, "alice").await, inbox(&bus, "bob").await);
    let calls = join_all((0..12).map(|n| recorded(if n % 2 == 0 { &one } else { &two }, 3))).await;
    let calls: Vec<_> = calls.into_iter().map(Result::unwrap).collect();
    assert_eq!(calls.iter().filter(|call| call.recorded).count(), 1);
    let milestone = calls[0].milestone.clone().unwrap();
    assert!(calls.iter().all(|call| call.milestone.as_ref() == Some(&milestone)));
    assert_eq!(
        (milestone.rev, milestone.threshold, milestone.unlocks.as_slice()),
        (1, 3, &["video_call".to_owned()][..])
    );
    assert_eq!(milestones_heard(&mut alice).await, ["at-3"]);
    assert_eq!(milestones_heard(&mut bob).await, ["at-3"]);
    assert_eq!(recorded(&one, 5).await.unwrap().milestone.unwrap().rev, 2);
    assert_eq!(two.get("demo").await.milestones.len(), 2);
}

#[tokio::test]
async fn a_milestone_that_is_not_reached_is_refused() {
    let stack = shared().await.stack().await;
    let replica = stack.replica().await;
    five_messages(&stack, &replica).await;
    assert_eq!(recorded(&replica, 6).await.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(recorded(&replica, 0).await.unwrap_err().code(), Code::InvalidArgument);
    let missing = RecordMilestoneRequest { match_id: "none".into(), ..record(1) };
    assert_eq!(replica.rpc().record_milestone(missing).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_crash_between_record_and_announcement_still_announces_once() {
    let stack = shared().await.stack().await;
    let (one, two, bus) = (stack.replica().await, stack.replica().await, stack.bus().await);
    five_messages(&stack, &one).await;
    let mut bob = inbox(&bus, "bob").await;
    let sql = stack.sql().await;
    // What a replica leaves that dies right after its record.
    let orphan = "INSERT INTO milestones (match_id, milestone_id, rev, seq, unlocks, reached_at, after_seq)
                  VALUES ('demo', 'orphan', 1, 5, '{video_call}', now(), 5)";
    sql.execute(orphan, &[]).await.unwrap();
    assert_eq!(next_milestone(&mut bob).await, "orphan");
    eventually("it is noted as announced", async || {
        let left = sql.query_one("SELECT count(*) FROM milestones WHERE announced_at IS NULL", &[]).await.unwrap();
        left.get::<_, i64>(0) == 0
    })
    .await;
    tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
    assert!(milestones_heard(&mut bob).await.is_empty());
    drop((one, two));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn milestones_that_nats_does_not_take_keep_nobody_from_reading_and_are_announced_later() {
    let stack = shared().await.stack().await;
    let port = stack.nats.rsplit(':').next().unwrap().parse().unwrap();
    let link = Proxy::start(port).unwrap();
    let behind = Stack { nats: format!("nats://127.0.0.1:{}", link.port()), ..stack.clone() };
    let (replica, bus) = (behind.replica().await, stack.bus().await);
    five_messages(&stack, &replica).await;
    let mut bob = inbox(&bus, "bob").await;
    link.set(Condition::Silent);
    // More than the pool has connections, more than may wait for NATS at once.
    let names: Vec<String> = (0..20).map(|n| format!("m-{n:02}")).collect();
    let recording = join_all(names.iter().map(|name| {
        let mut rpc = replica.rpc();
        let request = RecordMilestoneRequest { milestone_id: name.clone(), ..record(1) };
        async move { rpc.record_milestone(request).await.unwrap().into_inner().recorded }
    }));
    let reading = async {
        let sql = stack.sql().await;
        eventually("all are recorded", async || {
            let count = sql.query_one("SELECT count(*) FROM milestones", &[]).await.unwrap();
            count.get::<_, i64>(0) == 20
        })
        .await;
        // A call that finds no free connection waits for a second, and fails.
        for _ in 0..5 {
            let read = tokio::time::timeout(Duration::from_millis(800), replica.get("demo")).await;
            assert_eq!(read.expect("a read in time").milestones.len(), 20);
        }
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'";
        assert_eq!(sql.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0), 0, "no transaction is open");
    };
    let (recorded, ()) = tokio::join!(recording, reading);
    assert!(recorded.iter().all(|new| *new));
    link.set(Condition::Open);
    let mut heard = std::collections::BTreeSet::new();
    while heard.len() < names.len() {
        heard.insert(next_milestone(&mut bob).await);
    }
    assert!(names.iter().all(|name| heard.contains(name)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_without_nats_leaves_announcing_to_the_others_and_repeats_nothing_later() {
    let stack = shared().await.stack().await;
    let port = stack.nats.rsplit(':').next().unwrap().parse().unwrap();
    let link = Proxy::start(port).unwrap();
    let behind = Stack { nats: format!("nats://127.0.0.1:{}", link.port()), ..stack.clone() };
    let (cut_off, other, bus) = (behind.replica().await, stack.replica().await, stack.bus().await);
    five_messages(&stack, &other).await;
    let mut bob = inbox(&bus, "bob").await;
    link.set(Condition::Cut);
    eventually("it is cut off", async || cut_off.app.readiness.missing().contains(&"nats")).await;
    assert!(recorded(&cut_off, 3).await.unwrap().recorded);
    assert_eq!(next_milestone(&mut bob).await, "at-3");
    link.set(Condition::Open);
    cut_off.ready().await;
    assert!(milestones_heard(&mut bob).await.is_empty());
}

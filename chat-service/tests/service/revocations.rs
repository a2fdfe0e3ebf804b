//! Revocations, as gateways poll them.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use proto::chat::{Revocation, RevocationsRequest, RevokeRequest};

use service_kit::clock;

use crate::support::{Replica, Stack, eventually, shared};

/// More than there are connections, so that one poll that needed two would wait for the others for ever.
const POLLS: usize = 64;

async fn revoke_before(replica: &Replica, user: &str, not_before_ms: Option<i64>) -> i64 {
    let request = RevokeRequest { user_id: user.to_owned(), not_before_ms };
    replica.rpc().revoke(request).await.unwrap().into_inner().not_before_ms
}

/// Revokes from now on. Returns the time that counts.
async fn revoke(replica: &Replica, user: &str) -> i64 {
    revoke_before(replica, user, None).await
}

/// Whose tokens are refused, and from when on.
fn refused(page: &[Revocation]) -> Vec<(&str, i64)> {
    page.iter().map(|revocation| (revocation.user_id.as_str(), revocation.not_before_ms)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_poll_at_once_are_all_answered() {
    let replica = shared().await.stack().await.replica().await;
    let revoked = revoke(&replica, "alice").await;
    let rpc = replica.rpc();
    let polls = (0..POLLS).map(async |_| rpc.clone().revocations(RevocationsRequest::default()).await);
    for answer in join_all(polls).await {
        assert_eq!(refused(&answer.unwrap().into_inner().revocations), [("alice", revoked)]);
    }
}

#[tokio::test]
async fn they_are_found_by_whoever_polls_with_the_time_of_the_last_answer() {
    let stack = shared().await.stack().await;
    let replica = stack.replica().await;
    let mut rpc = replica.rpc();
    let since = |since_ms| RevocationsRequest { since_ms, ..RevocationsRequest::default() };
    let alice = revoke(&replica, "alice").await;
    let all = rpc.revocations(since(0)).await.unwrap().into_inner();
    assert_eq!(refused(&all.revocations), [("alice", alice)]);
    let bob = revoke(&replica, "bob").await;
    let next = rpc.revocations(since(all.as_of_ms)).await.unwrap().into_inner();
    assert!(refused(&next.revocations).contains(&("bob", bob)));
    // Whatever time it names, and whatever is known of the user already.
    for (user, not_before_ms) in [("carol", 1_000), ("dave", bob + 3_600_000), ("alice", alice + 1)] {
        let all = rpc.revocations(since(0)).await.unwrap().into_inner();
        revoke_before(&replica, user, Some(not_before_ms)).await;
        let next = rpc.revocations(since(all.as_of_ms)).await.unwrap().into_inner();
        assert!(refused(&next.revocations).contains(&(user, not_before_ms)), "{user}");
    }
    let later = rpc.revocations(since(alice + 3_600_000)).await.unwrap().into_inner();
    assert!(later.revocations.is_empty() && later.as_of_ms > alice - 3_600_000 && !later.has_more);
}

#[tokio::test]
async fn now_is_rounded_up_to_a_whole_second_and_no_later_request_lowers_a_time() {
    let replica = shared().await.stack().await.replica().await;
    let before_ms = clock::unix_ms();
    let not_before_ms = revoke(&replica, "alice").await;
    assert_eq!(not_before_ms % 1_000, 0);
    assert!((before_ms..=clock::unix_ms() + 1_000).contains(&not_before_ms), "{not_before_ms}");
    let later_ms = not_before_ms + 60_001;
    assert_eq!(revoke_before(&replica, "alice", Some(later_ms)).await, later_ms);
    assert_eq!(revoke_before(&replica, "alice", Some(5)).await, later_ms);
    assert_eq!(revoke(&replica, "alice").await, later_ms);
}

/// Users whose tokens were revoked so many seconds ago.
async fn revoked_ago(stack: &Stack, users: &str, seconds_ago: i64) {
    let sql =
        "INSERT INTO revocations (user_id, not_before) SELECT $1 || n, clock_timestamp() - make_interval(secs => $2)
               FROM generate_series(1, 1500) n";
    #[allow(clippy::cast_precision_loss)]
    stack.sql().await.execute(sql, &[&users, &(seconds_ago as f64)]).await.unwrap();
}

#[tokio::test]
async fn they_are_forgotten_when_every_token_of_before_has_expired_and_not_a_minute_earlier() {
    const KEPT_S: i64 = 31 * 24 * 3_600;
    let stack = shared().await.stack().await;
    stack.replica().await.stop().await;
    revoked_ago(&stack, "expired", KEPT_S + 1).await;
    revoked_ago(&stack, "living", KEPT_S - 60).await;
    let _replicas = (stack.replica().await, stack.replica().await);
    let sql = stack.sql().await;
    let count = async |users: &str| {
        let count = "SELECT count(*) FROM revocations WHERE user_id LIKE $1";
        sql.query_one(count, &[&users]).await.unwrap().get::<_, i64>(0)
    };
    eventually("the expired ones are gone", async || count("expired%").await == 0).await;
    assert_eq!(count("living%").await, 1_500);
}

/// Users whose tokens were revoked, 30,000 of them in one millisecond.
const CROWD: &str = "INSERT INTO revocations (user_id, not_before, changed_at)
     SELECT 'a-user-whose-id-is-of-a-usual-length-' || n, clock_timestamp(), timestamptz '2026-01-01' + n / 30000 * interval '1 ms' FROM generate_series(1, 100000) n";

#[tokio::test]
async fn a_hundred_thousand_come_in_pages_that_leave_nobody_out() {
    let stack = shared().await.stack().await;
    let replica = stack.replica().await;
    stack.sql().await.batch_execute(CROWD).await.unwrap();
    let mut request = RevocationsRequest { limit: 1_000_000, ..RevocationsRequest::default() };
    let (mut pages, mut users) = (0, BTreeSet::new());
    loop {
        let page = replica.rpc().revocations(request.clone()).await.unwrap().into_inner();
        assert!(page.revocations.is_sorted_by_key(|revocation| (revocation.changed_ms, revocation.user_id.clone())));
        let last = page.revocations.last().unwrap().clone();
        (request.since_ms, request.after_user_id) = (last.changed_ms, last.user_id);
        pages += 1;
        for revocation in page.revocations {
            assert!(users.insert(revocation.user_id), "nobody twice");
        }
        if !page.has_more {
            break;
        }
    }
    assert_eq!((pages, users.len()), (10, 100_000));
}

//! Revocations, as gateways poll them.

use std::{collections::BTreeSet, slice};

use futures_util::future::join_all;
use proto::chat::{Revocation, RevocationsRequest, RevokeRequest};

use crate::support::{Replica, shared};

/// More than there are connections, so that one poll that needed two would wait for the others for ever.
const POLLS: usize = 64;

async fn revoke(replica: &Replica, user: &str) -> Revocation {
    let request = RevokeRequest { user_id: user.to_owned() };
    let not_before_ms = replica.rpc().revoke(request).await.unwrap().into_inner().not_before_ms;
    Revocation { user_id: user.to_owned(), not_before_ms }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_poll_at_once_are_all_answered() {
    let replica = shared().await.stack().await.replica().await;
    let revoked = revoke(&replica, "alice").await;
    let rpc = replica.rpc();
    let polls = (0..POLLS).map(async |_| rpc.clone().revocations(RevocationsRequest::default()).await);
    for answer in join_all(polls).await {
        assert_eq!(answer.unwrap().into_inner().revocations, slice::from_ref(&revoked));
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
    assert_eq!(all.revocations, slice::from_ref(&alice));
    let bob = revoke(&replica, "bob").await;
    let next = rpc.revocations(since(all.as_of_ms)).await.unwrap().into_inner();
    assert!(next.revocations.contains(&bob));
    let later = rpc.revocations(since(alice.not_before_ms + 3_600_000)).await.unwrap().into_inner();
    assert!(later.revocations.is_empty());
}

/// Users whose tokens were revoked, 30,000 of them in one millisecond.
const CROWD: &str = "INSERT INTO revocations (user_id, not_before)
     SELECT 'a-user-whose-id-is-of-a-usual-length-' || n, timestamptz '2026-01-01' + n / 30000 * interval '1 ms' FROM generate_series(1, 100000) n";

#[tokio::test]
async fn a_hundred_thousand_come_in_pages_that_leave_nobody_out() {
    let stack = shared().await.stack().await;
    let replica = stack.replica().await;
    stack.sql().await.batch_execute(CROWD).await.unwrap();
    let mut request = RevocationsRequest { limit: 1_000_000, ..RevocationsRequest::default() };
    let (mut pages, mut users) = (0, BTreeSet::new());
    loop {
        let page = replica.rpc().revocations(request.clone()).await.unwrap().into_inner();
        assert!(page.revocations.is_sorted_by_key(|revocation| (revocation.not_before_ms, revocation.user_id.clone())));
        let last = page.revocations.last().unwrap().clone();
        (request.since_ms, request.after_user_id) = (last.not_before_ms, last.user_id);
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

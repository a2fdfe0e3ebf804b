//! Revocations, as gateways poll them.

use std::slice;

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
    let polls = (0..POLLS).map(async |_| rpc.clone().revocations(RevocationsRequest { since_ms: 0 }).await);
    for answer in join_all(polls).await {
        assert_eq!(answer.unwrap().into_inner().revocations, slice::from_ref(&revoked));
    }
}

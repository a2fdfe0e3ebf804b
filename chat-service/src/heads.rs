//! Heads for many callers at once: calls that arrive while a query runs share the next one.

use std::collections::{BTreeSet, HashMap};

use proto::chat::MatchHead;
use service_kit::Lifecycle;
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use crate::store::Store;

/// Calls that may wait. More than a fleet of gateways sends in the time of a query.
const MAX_WAITING: usize = 256;
/// A query takes waiting calls until it asks for this many matches.
const QUERY_IDS: usize = 10_000;

/// PostgreSQL is away, or too many calls wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unavailable;

struct Call {
    ids: Vec<String>,
    with_members: bool,
    answer: oneshot::Sender<Result<Vec<MatchHead>, Unavailable>>,
}

/// Reads heads, always from PostgreSQL, several calls in one query. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Heads {
    calls: mpsc::Sender<Call>,
}

impl Heads {
    /// Starts the task that queries.
    pub(crate) fn start(store: Store, lifecycle: &Lifecycle) -> Self {
        let (calls, waiting) = mpsc::channel(MAX_WAITING);
        lifecycle.spawn_essential("heads", run(waiting, store));
        Self { calls }
    }

    /// The heads of these matches, as they stand after the call; unknown matches are left out.
    pub(crate) async fn of(&self, ids: Vec<String>, with_members: bool) -> Result<Vec<MatchHead>, Unavailable> {
        let (answer, heads) = oneshot::channel();
        self.calls.try_send(Call { ids, with_members, answer }).map_err(|_| Unavailable)?;
        heads.await.map_err(|_| Unavailable)?
    }
}

async fn run(mut waiting: mpsc::Receiver<Call>, store: Store) {
    while let Some(first) = waiting.recv().await {
        let mut count = first.ids.len();
        let mut calls = vec![first];
        while count < QUERY_IDS
            && let Ok(call) = waiting.try_recv()
        {
            count += call.ids.len();
            calls.push(call);
        }
        answer(calls, &store).await;
    }
}

async fn answer(calls: Vec<Call>, store: &Store) {
    let ids: BTreeSet<&str> = calls.iter().flat_map(|call| &call.ids).map(String::as_str).collect();
    // Who did not ask for members is not disturbed by them.
    let with_members = calls.iter().any(|call| call.with_members);
    let found = store.heads(&ids.into_iter().collect::<Vec<_>>(), with_members).await;
    let found: Result<HashMap<String, MatchHead>, Unavailable> = match found {
        Ok(heads) => Ok(heads.into_iter().map(|head| (head.match_id.clone(), head)).collect()),
        Err(error) => {
            warn!(%error, "cannot read heads");
            Err(Unavailable)
        }
    };
    for Call { ids, answer, .. } in calls {
        let heads = found.as_ref().map(|found| ids.iter().filter_map(|id| found.get(id)).cloned().collect());
        // Who has stopped waiting needs no answer.
        let _ = answer.send(heads.map_err(|unavailable| *unavailable));
    }
}

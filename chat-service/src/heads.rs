//! Heads for many callers at once: calls that arrive while a query runs share the next one.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
};

use proto::{
    UserId,
    chat::{HeadsResponse, MatchHead},
};
use service_kit::Lifecycle;
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use crate::store::{self, Store, StoreError};

/// Calls that may wait. More than a fleet of gateways sends in the time of a query.
const MAX_WAITING: usize = 256;
/// A query takes waiting calls until it asks for this many matches.
const QUERY_IDS: usize = 10_000;

/// PostgreSQL is away, or too many calls wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unavailable;

/// The heads that a call asks for.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The matches.
    pub(crate) ids: Vec<String>,
    /// Whether to tell the members too.
    pub(crate) with_members: bool,
    /// On whose behalf: then only matches of this user are told, and their members always.
    pub(crate) user: Option<UserId>,
}

struct Call {
    asked: Asked,
    answer: oneshot::Sender<Result<HeadsResponse, Unavailable>>,
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

    /// The heads of these matches, as they stand after the call; unknown matches, and those of others than the user,
    /// are left out.
    pub(crate) async fn of(&self, asked: Asked) -> Result<HeadsResponse, Unavailable> {
        let (answer, heads) = oneshot::channel();
        self.calls.try_send(Call { asked, answer }).map_err(|_| Unavailable)?;
        heads.await.map_err(|_| Unavailable)?
    }
}

async fn run(mut waiting: mpsc::Receiver<Call>, store: Store) {
    while let Some(first) = waiting.recv().await {
        let mut count = first.asked.ids.len();
        let mut calls = vec![first];
        while count < QUERY_IDS
            && let Ok(call) = waiting.try_recv()
        {
            count += call.asked.ids.len();
            calls.push(call);
        }
        answer(calls, &store).await;
    }
}

async fn answer(calls: Vec<Call>, store: &Store) {
    let (of_users, of_services): (Vec<_>, Vec<_>) = calls.into_iter().partition(|call| call.asked.user.is_some());
    if !of_services.is_empty() {
        answer_services(of_services, store).await;
    }
    if !of_users.is_empty() {
        answer_users(of_users, store).await;
    }
}

async fn answer_services(calls: Vec<Call>, store: &Store) {
    let ids: BTreeSet<&str> = calls.iter().flat_map(|call| &call.asked.ids).map(String::as_str).collect();
    // Who did not ask for members is not disturbed by them.
    let with_members = calls.iter().any(|call| call.asked.with_members);
    let found = store.heads(&ids.into_iter().collect::<Vec<_>>(), with_members).await;
    let found = found.map(|found| Found::by(found, |head| (head.match_id.clone(), head)));
    give(calls, &found, |heads: &HashMap<String, MatchHead>, _, id| heads.get(id).cloned());
}

async fn answer_users(calls: Vec<Call>, store: &Store) {
    let pairs = calls.iter().flat_map(|call| {
        let user = call.asked.user.as_ref().map_or("", UserId::as_str);
        call.asked.ids.iter().map(move |id| (user, id.as_str()))
    });
    let found = store.heads_of_users(&pairs.collect()).await;
    let found = found.map(|found| Found::by(found, |(user, head)| ((user, head.match_id.clone()), head)));
    give(calls, &found, |heads: &HashMap<(String, String), MatchHead>, user, id| {
        heads.get(&(user?.as_str().to_owned(), id.to_owned())).cloned()
    });
}

/// The heads that one query has found, by match, or by user and match.
struct Found<K> {
    epoch: String,
    heads: HashMap<K, MatchHead>,
}

impl<K: Eq + Hash> Found<K> {
    fn by<H>(found: store::Heads<H>, entry: impl Fn(H) -> (K, MatchHead)) -> Self {
        Self { epoch: found.epoch, heads: found.heads.into_iter().map(entry).collect() }
    }
}

/// Gives each call what it asked for of what was found.
fn give<K>(
    calls: Vec<Call>,
    found: &Result<Found<K>, StoreError>,
    look_up: impl Fn(&HashMap<K, MatchHead>, Option<&UserId>, &str) -> Option<MatchHead>,
) {
    if let Err(error) = found {
        warn!(%error, "cannot read heads");
    }
    for Call { asked: Asked { ids, user, .. }, answer } in calls {
        let answered = found.as_ref().map_err(|_| Unavailable).map(|Found { epoch, heads }| HeadsResponse {
            heads: ids.iter().filter_map(|id| look_up(heads, user.as_ref(), id)).collect(),
            epoch: epoch.clone(),
        });
        // Who has stopped waiting needs no answer.
        let _ = answer.send(answered);
    }
}

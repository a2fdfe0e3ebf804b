//! Serves the sends of the partitions that this replica owns, and of any partition when it is asked as "any".

use std::{collections::BTreeMap, sync::Arc};

use proto::{
    chat::{ReplicaAnnounced, ReplicaState},
    subjects::OWNER_GROUP,
};
use service_kit::{
    Lifecycle,
    bus::{Bus, BusError, Slots, Subscription},
    health::Condition,
};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{info, warn};

use crate::{
    lanes::{BATCH_ROWS, MAX_WAITING, MAX_WAITING_KIB},
    metrics::{Metrics, Route},
    ownership::{INTERVAL, Ownership, Step},
    peers::Peers,
    posted::Posted,
    sends::Sends,
    shared::Shared,
};

/// Beside the requests that the lanes hold: those whose members are being looked up, or whose answers are on their way.
/// So the lanes are full first, and refuse; beyond this a request is refused before anything is done for it.
const REQUESTS_BESIDE_LANES: usize = 1_024;
/// The bytes of all these requests together. With the requests in the lanes, 128 MiB, they are all that requests take
/// of memory.
const KIB_BESIDE_LANES: usize = 16 * 1024;

/// The partitions of a replica, from its first announcement to its last.
pub(crate) struct Partitions {
    lifecycle: Lifecycle,
    settled: Condition,
    ownership: Ownership,
    peers: Peers,
    /// Since when a dead replica's commits may be missing in the stream.
    lost_since_ms: Option<i64>,
    announcer: Announcer,
    serving: Serving,
}

/// What the other replicas hear of this one.
struct Announcer {
    bus: Bus,
    posted: Posted,
    id: String,
}

/// What serves requests. Dropped, it finishes what it has received.
struct Serving {
    bus: Bus,
    lifecycle: Lifecycle,
    metrics: Metrics,
    sends: Arc<Sends>,
    slots: Slots,
    /// The partitions that are served; dropping one ends that.
    owned: BTreeMap<u8, DropGuard>,
    /// The same for all others, when it is asked as "any".
    any: Option<DropGuard>,
}

impl Partitions {
    /// Serves nothing yet; `settled` tells whether it has come to serve its share.
    pub(crate) fn new(sends: Sends, settled: Condition, shared: &Shared, lifecycle: &Lifecycle) -> Self {
        let id = format!("{:016x}", fastrand::u64(..));
        let ownership = Ownership::new(id.clone(), now());
        let announcer = Announcer { bus: shared.bus.clone(), posted: shared.posted.clone(), id };
        let serving = Serving {
            bus: shared.bus.clone(),
            lifecycle: lifecycle.clone(),
            metrics: shared.metrics.clone(),
            sends: Arc::new(sends),
            slots: Slots::within(MAX_WAITING + BATCH_ROWS + REQUESTS_BESIDE_LANES, MAX_WAITING_KIB + KIB_BESIDE_LANES),
            owned: BTreeMap::new(),
            any: None,
        };
        let (lifecycle, peers) = (lifecycle.clone(), Peers::default());
        Self { lifecycle, settled, ownership, peers, lost_since_ms: None, announcer, serving }
    }

    /// Serves its share until the process stops, leaves it to the others, and is gone when `published` says that all of
    /// its commits are.
    pub(crate) async fn run(mut self, published: oneshot::Receiver<bool>) {
        if let Err(error) = self.serve_until_left().await {
            warn!(%error, "cannot serve sends");
            return;
        }
        let Self { announcer, serving, .. } = self;
        // The lanes end when the last request has been answered.
        drop(serving);
        announcer.say_goodbye(published).await;
    }

    async fn serve_until_left(&mut self) -> Result<(), BusError> {
        let mut announcements = self.announcer.listen().await?;
        self.serving.any = Some(self.serving.begin(Route::Any).await?);
        let stopping = self.lifecycle.stopping().clone();
        let mut leaving = false;
        loop {
            let step = tokio::select! {
                // Time first: who was frozen must see that before what it missed meanwhile.
                biased;
                () = stopping.cancelled(), if !leaving => {
                    leaving = true;
                    self.ownership.leave(now())
                }
                () = sleep_until(self.ownership.wake_at().into()) => self.on_time(),
                heard = announcements.next() => {
                    let (announced, _) = heard.ok_or(BusError::Unavailable)?;
                    self.hear(&announced)
                }
            };
            self.take(step).await?;
            if leaving && self.ownership.owned().is_empty() {
                return Ok(());
            }
        }
    }

    fn hear(&mut self, announced: &ReplicaAnnounced) -> Step {
        let (id, state) = (announced.replica_id.as_str(), announced.state());
        if id != self.announcer.id {
            self.peers.hear(id, state, announced.published_ms, now());
            self.announcer.posted.note_peers(self.peers.published_ms());
        }
        self.ownership.hear(id, state, now())
    }

    fn on_time(&mut self) -> Step {
        let step = self.ownership.on_time(now());
        if let Some(since_ms) = self.peers.on_time(now(), self.ownership.is_deaf()) {
            warn!(since_ms, "a replica is gone; what it may not have published is looked for");
            self.lost_since_ms = Some(self.lost_since_ms.unwrap_or(since_ms).min(since_ms));
        }
        step
    }

    async fn take(&mut self, step: Step) -> Result<(), BusError> {
        for partition in &step.take {
            let begun = self.serving.begin(Route::Owner(*partition)).await?;
            self.serving.owned.insert(*partition, begun);
        }
        let changes = !step.take.is_empty() || !step.release.is_empty();
        // What is announced as served must be.
        if !step.take.is_empty() && self.announcer.bus.flush().await.is_err() {
            warn!("NATS does not answer; partitions were taken all the same");
        }
        if let Some(state) = step.announce {
            self.announcer.announce(state).await;
        }
        self.serving.owned.retain(|partition, _| !step.release.contains(partition));
        self.settled.set(self.ownership.is_settled() || self.settled.holds());
        self.tell_publisher();
        if changes {
            let owned = self.ownership.owned().len();
            info!(owned, taken = step.take.len(), released = step.release.len(), "partitions");
            self.serving.metrics.owned(owned);
        }
        Ok(())
    }

    /// After the partitions were taken: only their owner looks for what a dead replica left behind in them.
    fn tell_publisher(&mut self) {
        let posted = &self.announcer.posted;
        if self.ownership.is_settled() {
            posted.note_owned(self.ownership.owned());
        }
        posted.note_settled(self.ownership.is_settled());
        if let Some(since_ms) = self.lost_since_ms.take() {
            posted.lost_peer(since_ms);
        }
        posted.note_peers(self.peers.published_ms());
    }
}

impl Serving {
    /// Serves until the guard is dropped.
    async fn begin(&self, route: Route) -> Result<DropGuard, BusError> {
        let subjects = self.bus.subjects();
        let subject = match route {
            Route::Owner(partition) => subjects.owned_sends(partition),
            Route::Any => subjects.any_sends(),
        };
        let (sends, metrics, until) = (self.sends.clone(), self.metrics.clone(), CancellationToken::new());
        let handler = move |request| {
            metrics.requested(route);
            sends.clone().handle(request)
        };
        let (at, bound) = ((&subject, OWNER_GROUP), (&self.slots, until.clone()));
        self.bus.serve_until(at, bound, &self.lifecycle, (handler, Sends::refuse)).await?;
        Ok(until.drop_guard())
    }
}

impl Announcer {
    async fn listen(&self) -> Result<Subscription<ReplicaAnnounced>, BusError> {
        self.bus.subscribe(&self.bus.subjects().replica()).await
    }

    async fn announce(&self, state: ReplicaState) {
        let (replica_id, published_ms) = (self.id.clone(), self.posted.published_ms());
        let announced = ReplicaAnnounced { replica_id, state: state.into(), published_ms };
        // A failure shows: the replica does not hear itself.
        let _ = self.bus.publish(&self.bus.subjects().replica(), &announced).await;
    }

    /// As long as it is heard of, the others count on it to publish what it committed.
    async fn say_goodbye(self, mut published: oneshot::Receiver<bool>) {
        loop {
            match timeout(INTERVAL, &mut published).await {
                Ok(Ok(true)) => break,
                Ok(_) => return,
                Err(_) => self.announce(ReplicaState::Leaving).await,
            }
        }
        self.announce(ReplicaState::Left).await;
        let _ = self.bus.flush().await;
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

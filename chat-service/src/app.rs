//! Builds the service from a config, and what tests start in-process.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use proto::chat::chat_service_server::ChatServiceServer;
use service_kit::{
    Lifecycle,
    bus::Bus,
    grpc,
    health::{self, Condition, Readiness},
};
use tokio::{net::TcpListener, sync::oneshot, time::sleep};
use tracing::{info, warn};

use crate::{
    announcer::Announcer,
    audiences::Audiences,
    config::Config,
    erasures::Erasures,
    heads::Heads,
    lane::{self, Entrance},
    limits::SendLimits,
    marks::Marks,
    metrics::Metrics,
    partitions::Partitions,
    posted::{self, Posted},
    retention::Retention,
    rpc::Rpc,
    sends::Sends,
    shared::Shared,
    store::{Store, StoreError},
};

const MIGRATE_AGAIN_AFTER: Duration = Duration::from_secs(1);
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// A running service. Dropping it changes nothing: its lifecycle stops it.
#[derive(Debug)]
pub struct App {
    /// Where it serves gRPC.
    pub grpc: SocketAddr,
    /// Where it answers `/healthz`, `/readyz` and `/metrics`.
    pub health: SocketAddr,
    /// Whether it serves sends: PostgreSQL is reached and migrated, NATS is connected, it has come to serve its
    /// partitions.
    pub readiness: Readiness,
    posted: Posted,
}

impl App {
    /// The partitions that it owns now.
    pub fn owned_partitions(&self) -> BTreeSet<u8> {
        self.posted.owned()
    }
}

/// Starts the service and returns at once. It serves gRPC from then on, and sends as soon as PostgreSQL is there.
///
/// # Errors
/// When the database URL is malformed or an address is taken.
pub async fn start(config: Config, lifecycle: Lifecycle) -> anyhow::Result<App> {
    let database = config.database_url.parse().context("--database-url is malformed")?;
    let store = Store::new(&database)?;
    let readiness = Readiness::new(&lifecycle);
    let [postgres, nats, partitions] = ["postgres", "nats", "partitions"].map(|name| readiness.condition(name));
    let health = health::serve(config.health.health_listen, readiness.clone(), &lifecycle).await?;
    let listen = config.grpc_listen;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let grpc = listener.local_addr()?;
    let bus = Bus::connect(&config.nats, "chat-service", nats).await?;
    let posted = Posted::default();
    let audiences = Audiences::new(store.clone());
    let shared = Shared { store, audiences, bus, posted: posted.clone(), metrics: Metrics::new() };
    let lanes = Entrance::new(Duration::from_millis(config.commit_interval_ms), shared.metrics.clone());
    let heads = Heads::start(shared.store.clone(), &lifecycle);
    let marks = config.receipts.is_on().then(|| Marks::start(&shared, &lifecycle));
    let limits = Arc::new(SendLimits::new(config.rates));
    let rpc = Rpc::new(&shared, (heads, lanes.clone()), marks, (config.rules(), Arc::clone(&limits)));
    grpc::serve(listener, ChatServiceServer::new(rpc), proto::DESCRIPTORS, &lifecycle).await?;
    info!(%grpc, %health, "started");
    let serving = Serving { config, shared, lanes, limits, postgres, partitions, lifecycle: lifecycle.clone() };
    lifecycle.spawn_essential("postgres", serving.run());
    Ok(App { grpc, health, readiness, posted })
}

/// What needs PostgreSQL: it begins when that is reached and migrated.
struct Serving {
    config: Config,
    shared: Shared,
    lanes: Entrance,
    limits: Arc<SendLimits>,
    postgres: Condition,
    partitions: Condition,
    lifecycle: Lifecycle,
}

impl Serving {
    async fn run(self) {
        let stopping = self.lifecycle.stopping().clone();
        let work = async {
            tokio::select! {
                () = self.migrate() => {}
                // A server that hangs in its middle loses it, too.
                () = self.watch(|_| {}) => {}
            }
            self.serve();
            self.watch(|answers| self.postgres.set(answers)).await;
        };
        stopping.run_until_cancelled(work).await;
    }

    async fn migrate(&self) {
        let mut said = String::new();
        while let Err(error) = self.try_migrate().await {
            let error = error.to_string();
            if said != error {
                warn!(%error, "waiting for PostgreSQL");
                said = error;
            }
            sleep(MIGRATE_AGAIN_AFTER).await;
        }
        self.postgres.set(true);
    }

    async fn try_migrate(&self) -> Result<(), StoreError> {
        // First: who watches over the migration must be connected to the server that makes it.
        self.look_at_clock().await?;
        self.shared.store.migrate().await
    }

    /// Also tells whether PostgreSQL answers.
    async fn look_at_clock(&self) -> Result<(), StoreError> {
        let now_ms = self.shared.store.now_ms().await?;
        self.shared.posted.note_time(now_ms);
        Ok(())
    }

    fn serve(&self) {
        let (shared, lifecycle) = (&self.shared, &self.lifecycle);
        let (announcer, told) = Announcer::new(shared);
        let (open, lanes_ended) = lane::start(self.config.lanes, &self.lanes, shared, &told, lifecycle);
        let publisher = posted::Publisher::new(shared);
        let (done, all_published) = oneshot::channel();
        lifecycle.spawn_essential("posted", async move {
            // Nobody listens any more after a crash.
            let _ = done.send(publisher.run(lanes_ended).await);
        });
        lifecycle.spawn_essential("announcer", announcer.run());
        let retention = Retention {
            store: shared.store.clone(),
            revocations: self.config.revocation_retention,
            versions: self.config.deleted_retention,
            reports: self.config.report_retention,
            erasures: self.config.erasure_retention,
        };
        lifecycle.spawn_essential("retention", retention.run(lifecycle.clone()));
        let erasures = Erasures::new(shared, self.lanes.clone());
        lifecycle.spawn_essential("erasures", erasures.run(lifecycle.clone()));
        let lanes = (self.lanes.clone(), open);
        let sends = Sends::new(shared.audiences.clone(), Arc::clone(&self.limits), lanes, shared.metrics.clone());
        let partitions = Partitions::new(sends, self.partitions.clone(), shared, lifecycle);
        lifecycle.spawn_essential("partitions", partitions.run(all_published));
    }

    /// Looks again and again, for ever, whether PostgreSQL answers.
    async fn watch(&self, tell: impl Fn(bool)) {
        loop {
            sleep(PING_INTERVAL).await;
            tell(self.look_at_clock().await.is_ok());
        }
    }
}

//! Builds the service from a config, and what tests start in-process.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use proto::{chat::chat_service_server::ChatServiceServer, subjects::OWNER_GROUP};
use service_kit::{
    Lifecycle,
    bus::Bus,
    grpc,
    health::{self, Condition, Readiness},
};
use tokio::{net::TcpListener, time::sleep};
use tracing::{info, warn};

use crate::{
    announcer::Announcer,
    config::Config,
    heads::Heads,
    inbox::Inbox,
    lane::{Lanes, Shared},
    members::Members,
    metrics::Metrics,
    posted::{self, Posted},
    rpc::Rpc,
    sends::Sends,
    store::{Store, StoreError},
};

/// Requests on NATS that are served at once: more than the lanes' queues hold, so that these refuse and nothing waits unseen.
const MAX_REQUESTS: usize = 16_384;
const MIGRATE_AGAIN_AFTER: Duration = Duration::from_secs(1);
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// A running service. Dropping it changes nothing: its lifecycle stops it.
#[derive(Debug)]
pub struct App {
    /// Where it serves gRPC.
    pub grpc: SocketAddr,
    /// Where it answers `/healthz`, `/readyz` and `/metrics`.
    pub health: SocketAddr,
    /// Whether it serves sends: PostgreSQL is reached and migrated, NATS is connected.
    pub readiness: Readiness,
}

/// Starts the service and returns at once. It serves gRPC from then on, and sends as soon as PostgreSQL is there.
///
/// # Errors
/// When the database URL is malformed or an address is taken.
pub async fn start(config: Config, lifecycle: Lifecycle) -> anyhow::Result<App> {
    let database = config.database_url.parse().context("--database-url is malformed")?;
    let store = Store::new(&database)?;
    let readiness = Readiness::new(&lifecycle);
    let (postgres, nats) = (readiness.condition("postgres"), readiness.condition("nats"));
    let health = health::serve(config.health.health_listen, readiness.clone(), &lifecycle).await?;
    let listen = config.grpc_listen;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let grpc = listener.local_addr()?;
    let bus = Bus::connect(&config.nats, "chat-service", nats).await?;
    let shared = Shared { store, bus, posted: Posted::default(), metrics: Metrics::new() };
    let announcer = Announcer::new(shared.store.clone(), Inbox::new(&shared));
    let rpc = Rpc::new(&shared, Heads::start(shared.store.clone(), &lifecycle), announcer.clone());
    grpc::serve(listener, ChatServiceServer::new(rpc), proto::DESCRIPTORS, &lifecycle).await?;
    info!(%grpc, %health, "started");
    let serving = Serving { config, shared, announcer, postgres, lifecycle: lifecycle.clone() };
    lifecycle.spawn_essential("postgres", serving.run());
    Ok(App { grpc, health, readiness })
}

/// What needs PostgreSQL: it begins when that is reached and migrated.
struct Serving {
    config: Config,
    shared: Shared,
    announcer: Announcer,
    postgres: Condition,
    lifecycle: Lifecycle,
}

impl Serving {
    async fn run(self) {
        let stopping = self.lifecycle.stopping().clone();
        let work = async {
            self.migrate().await;
            if self.serve().await {
                self.watch().await;
            }
        };
        stopping.run_until_cancelled(work).await;
    }

    async fn migrate(&self) {
        let mut said = String::new();
        while let Err(error) = self.shared.store.migrate().await {
            let error = error.to_string();
            if said != error {
                warn!(%error, "waiting for PostgreSQL");
                said = error;
            }
            sleep(MIGRATE_AGAIN_AFTER).await;
        }
        self.postgres.set(true);
    }

    /// False when NATS refuses for good, which ends the process.
    async fn serve(&self) -> bool {
        let (shared, lifecycle) = (&self.shared, &self.lifecycle);
        let (lanes, lanes_ended) = Lanes::start(self.config.lanes, shared, lifecycle);
        let publisher = posted::Publisher::new(shared);
        lifecycle.spawn_essential("posted", publisher.run(lanes_ended));
        lifecycle.spawn_essential("announcer", self.announcer.clone().poll(lifecycle.clone()));
        let sends = Arc::new(Sends::new(Members::new(shared.store.clone()), lanes, shared.metrics.clone()));
        let subject = shared.bus.subjects().all_sends();
        let served = shared
            .bus
            .serve((&subject, OWNER_GROUP), MAX_REQUESTS, lifecycle, move |request| sends.clone().handle(request));
        match served.await {
            Ok(()) => true,
            Err(error) => {
                warn!(%error, "cannot serve sends");
                false
            }
        }
    }

    async fn watch(&self) {
        loop {
            sleep(PING_INTERVAL).await;
            let answer: Result<(), StoreError> = self.shared.store.ping().await;
            self.postgres.set(answer.is_ok());
        }
    }
}

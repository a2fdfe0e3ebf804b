//! Builds the service from its configuration.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use service_kit::{
    Lifecycle,
    bus::Bus,
    grpc,
    health::{self, Readiness},
    redis::Redis,
};
use tokio::net::TcpListener;

use crate::{
    NAME, access::Access, closed_matches, config::Config, deadlines, metrics::Metrics, requests, rpc::CallRpc,
    store::Calls, switchboard::Switchboard,
};

/// A running service.
#[derive(Debug)]
pub struct App {
    /// Where its gRPC service listens.
    pub grpc: SocketAddr,
    /// Where `/healthz`, `/readyz` and `/metrics` are.
    pub health: SocketAddr,
    /// Whether everything that it needs is there.
    pub readiness: Readiness,
}

/// Starts the service. It runs until `lifecycle` stops it; what it depends on may come later.
pub async fn start(config: Config, lifecycle: Lifecycle) -> anyhow::Result<App> {
    let readiness = Readiness::new(&lifecycle);
    let redis = Redis::open(&config.redis, readiness.condition("redis"), &lifecycle)?;
    let health = health::serve(config.health.health_listen, readiness.clone(), &lifecycle).await?;
    let listener = TcpListener::bind(config.grpc_listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", config.grpc_listen))?;
    let grpc = listener.local_addr()?;

    let bus = Bus::connect(&config.nats, NAME, readiness.condition("nats")).await?;
    let metrics = Metrics::new();
    let [chat, milestones] =
        [&config.chat_service, &config.milestone_service].map(|targets| grpc::connect(targets, &lifecycle));
    let access = Access::new(&chat, &milestones);
    let calls = Calls::new(redis, &config.nats.prefix, config.ring_quotas);
    let switchboard = Switchboard::new(calls, bus.clone(), access, config.timing(), metrics.clone());
    let switchboard = Arc::new(switchboard);

    grpc::serve(listener, CallRpc::server(switchboard.clone()), proto::DESCRIPTORS, &lifecycle).await?;
    requests::serve(&bus, switchboard.clone(), metrics, &lifecycle).await?;
    lifecycle.spawn_essential("deadlines", deadlines::run(switchboard.clone(), lifecycle.clone()));
    lifecycle.spawn_essential("closed matches", closed_matches::run(switchboard, lifecycle.clone()));
    tracing::info!(%grpc, %health, "started");
    Ok(App { grpc, health, readiness })
}

//! Builds the service from its configuration.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use proto::chat::chat_service_client::ChatServiceClient;
use service_kit::{
    Lifecycle,
    bus::Bus,
    grpc,
    health::{self, Readiness},
    redis::Redis,
};
use tokio::net::TcpListener;

use crate::{
    NAME, config::Config, consumer::CommitConsumer, counter::Counter, metrics::Metrics, milestones_file,
    rpc::ProgressRpc, store::Registers,
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
    let milestones = milestones_file::load(config.milestones_file.as_deref())?;
    let readiness = Readiness::new(&lifecycle);
    let redis = Redis::open(&config.redis, readiness.condition("redis"), &lifecycle)?;
    let health = health::serve(config.health.health_listen, readiness.clone(), &lifecycle).await?;
    let listener = TcpListener::bind(config.grpc_listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", config.grpc_listen))?;
    let grpc = listener.local_addr()?;

    let metrics = Metrics::new();
    let chat = ChatServiceClient::new(grpc::connect(&config.chat_service, &lifecycle));
    let registers = Registers::new(redis, &config.nats.prefix);
    let counter = Arc::new(Counter::new(milestones, registers, chat, metrics.clone()));
    grpc::serve(listener, ProgressRpc::server(counter.clone()), proto::DESCRIPTORS, &lifecycle).await?;

    let bus = Bus::connect(&config.nats, NAME, readiness.condition("nats")).await?;
    let consumer = CommitConsumer::new(bus, counter, metrics, &lifecycle, readiness.condition("stream"));
    lifecycle.spawn_essential("commits", consumer.run());
    tracing::info!(%grpc, %health, "started");
    Ok(App { grpc, health, readiness })
}

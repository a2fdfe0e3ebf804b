//! Builds the gateway from its configuration.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use axum::Router;
use service_kit::{
    Lifecycle,
    bus::Bus,
    health::{self, Readiness},
};
use tokio::net::TcpListener;

use crate::{
    NAME,
    auth::Authenticator,
    config::Config,
    egress::Services,
    limits::UserLimits,
    listener,
    rest::{self, Api},
    revocations::Revocations,
};

/// A running gateway.
#[derive(Debug)]
pub struct App {
    /// Where it listens.
    pub address: SocketAddr,
}

/// Starts the gateway. It runs until `lifecycle` stops it; what it depends on may come later.
pub async fn start(config: Config, lifecycle: Lifecycle) -> anyhow::Result<App> {
    let authenticator = Arc::new(Authenticator::new(&config.auth)?);
    let tcp = TcpListener::bind(config.listen).await;
    let tcp = tcp.with_context(|| format!("cannot listen on {}", config.listen))?;
    let address = tcp.local_addr()?;

    let readiness = Readiness::new(&lifecycle);
    let bus = Bus::connect(&config.nats, NAME, readiness.condition("nats")).await?;
    let services = Services::connect(bus, &config.targets(), &lifecycle);
    let fresh = readiness.condition("revocations");
    let revocations = Revocations::start(services.clone(), fresh, &lifecycle, |_, _| {});
    let limits = Arc::new(UserLimits::new(&config.rates));
    let api = Api { authenticator, revocations, services, limits };
    let router = Router::new()
        .merge(rest::routes(api, config.cors_origins.clone()))
        .merge(health::routes(readiness))
        .fallback(rest::not_found);

    let listening = listener::Config {
        trusted_proxies: config.trusted_proxies,
        shutdown_timeout: Duration::from_secs(config.process.shutdown_timeout_s),
        ..listener::Config::default()
    };
    let stopping = lifecycle.stopping().clone();
    lifecycle.spawn_essential("listener", listener::serve(tcp, router, listening, stopping));
    tracing::info!(%address, "started");
    Ok(App { address })
}

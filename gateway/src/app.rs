//! Builds the gateway from its configuration.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use axum::Router;
use gateway_core::Settings;
use proto::{UserId, chat::Revocation};
use service_kit::{
    Lifecycle, NatsConfig,
    bus::Bus,
    health::{self, Readiness},
};
use tokio::net::{TcpListener, UdpSocket};
use tokio_util::sync::CancellationToken;

use crate::{
    NAME,
    auth::Authenticator,
    chat::{Context, Presences, Receiver, Users},
    config::{Config, SidKeys},
    egress::Services,
    engineio,
    forwarding::{SealKeys, Sealer},
    inboxes::Inboxes,
    limits::UserLimits,
    listener,
    rest::{self, Api},
    revocations::Revocations,
    sockets::{self, Endpoint},
    stop::Stop,
};

/// A running gateway.
#[derive(Debug)]
pub struct App {
    /// Where clients connect.
    pub address: SocketAddr,
    /// Where `/healthz`, `/readyz` and `/metrics` are.
    pub health: SocketAddr,
}

/// Starts the gateway. It runs until `lifecycle` stops it; what it depends on may come later.
#[allow(clippy::too_many_lines, reason = "what is built from what reads best as one list")]
pub async fn start(config: Config, lifecycle: Lifecycle) -> anyhow::Result<App> {
    let authenticator = Arc::new(Authenticator::new(&config.auth)?);
    let keys = seal_keys(&config)?;
    let tcp = TcpListener::bind(config.listen).await;
    let tcp = tcp.with_context(|| format!("cannot listen on {}", config.listen))?;
    let address = tcp.local_addr()?;

    let readiness = Readiness::new(&lifecycle);
    let listening = readiness.condition("listener");
    let health = health::serve(config.health.health_listen, readiness.clone(), &lifecycle).await?;
    let bus = Bus::connect(&config.nats, NAME, readiness.condition("nats")).await?;
    let inboxes = Inboxes::new(&config.nats.prefix);
    let services = Services::connect((bus, inboxes.clone()), &config.targets(), &lifecycle);
    let users = Arc::new(Users::new(inboxes.clone()));
    let revocations = Revocations::new(cutting(&users));
    revocations.follow(services.clone(), readiness.condition("revocations"), config.auth.jwt_max_lifetime, &lifecycle);
    let limits = Arc::new(UserLimits::new(&config.rates));
    let engine = engineio::Config { cors_origins: config.cors_origins.clone(), ..config.transport.engine() };
    let message_fields = config.message_fields.into();
    let held = Arc::clone(&engine.held);
    let api = Api { authenticator, revocations, services, limits, held, message_fields };
    let context = Arc::new(Context {
        authenticator: Arc::clone(&api.authenticator),
        revocations: api.revocations.clone(),
        services: api.services.clone(),
        limits: Arc::clone(&api.limits),
        seats: config.seats,
        inboxes: inboxes.clone(),
        users,
        presence: Presences::new(Duration::from_millis(config.presence_grace_ms), inboxes.clone()),
        settings: Settings { receipts: config.receipts.is_on(), ..Settings::new(message_fields) },
        lifecycle: lifecycle.clone(),
    });
    let stop = stop(&config);
    let (socket_routes, drained) = sockets::start(&context, endpoint(&config, engine, address, keys).await, stop);
    let connected = readiness.condition("inboxes");
    // Requests by REST may go on when the last socket has gone.
    let over = CancellationToken::new();
    inboxes.start(&config.nats, connected, (&lifecycle, &over), || Receiver::new(&context));
    let router = Router::new()
        .merge(socket_routes)
        .merge(rest::routes(api, config.cors_origins.clone()))
        .merge(if config.public_health { health::routes(readiness) } else { Router::new() })
        .fallback(rest::not_found);

    let limits = listener::Config {
        trusted_proxies: config.trusted_proxies,
        shutdown_timeout: stop.requests,
        ..config.transport.listener()
    };
    lifecycle.spawn_essential("listener", async move {
        listener::serve(tcp, router, limits, drained).await;
        over.cancel();
    });
    listening.set(true);
    tracing::info!(%address, %health, "started");
    Ok(App { address, health })
}

/// How a stop goes. A window as long as all of it would leave no time for what comes after.
fn stop(config: &Config) -> Stop {
    let wanted = Duration::from_secs(config.drain_window_s);
    let stop = Stop::within(Duration::from_secs(config.process.shutdown_timeout_s), wanted);
    if stop.window < wanted {
        let window_ms = stop.window.as_millis();
        tracing::warn!(window_ms, "the drain window is shortened, so that a stop ends within --shutdown-timeout-s");
    }
    stop
}

/// What seals the ids of sessions.
fn seal_keys(config: &Config) -> anyhow::Result<SealKeys> {
    let given = config.sid_keys.as_ref().map(SidKeys::read);
    given.unwrap_or_else(|| SealKeys::random().context("cannot make a key for session ids"))
}

/// How sessions are kept by a gateway that listens on `address`.
async fn endpoint(config: &Config, engine: engineio::Config, address: SocketAddr, keys: SealKeys) -> Endpoint {
    let advertised = match config.advertise {
        Some(advertised) => advertised,
        None => advertised(address, &config.nats).await,
    };
    Endpoint {
        engine,
        sealer: Sealer::new(advertised, keys),
        connect_timeout: Duration::from_secs(config.connect_timeout_s),
    }
}

/// Where the other gateways reach one that listens on `address`.
async fn advertised(address: SocketAddr, nats: &NatsConfig) -> SocketAddr {
    if !address.ip().is_unspecified() {
        return address;
    }
    match own_ip(address, nats).await {
        Ok(ip) => SocketAddr::new(ip, address.port()),
        Err(error) => {
            tracing::warn!(%error, "other gateways cannot reach this one: give --advertise");
            address
        }
    }
}

/// The address of the interface towards NATS. Nothing is sent.
async fn own_ip(address: SocketAddr, nats: &NatsConfig) -> anyhow::Result<IpAddr> {
    let server = nats.nats_url.first().context("no NATS server is named")?;
    let socket = UdpSocket::bind(SocketAddr::new(address.ip(), 0)).await?;
    socket.connect((server.host(), server.port())).await?;
    Ok(socket.local_addr()?.ip())
}

/// Cuts off revoked users at once.
fn cutting(users: &Arc<Users>) -> impl Fn(&UserId, &Revocation) + Send + Sync + 'static {
    let users = Arc::clone(users);
    move |user, revocation| users.cut(user, revocation)
}

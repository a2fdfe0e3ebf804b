//! Any gateway takes any request: one of a session that another gateway owns is passed on to it. No sticky sessions.
//!
//! The id of a session is sealed: it names its owner, and only a gateway can make one. So a client cannot have a gateway
//! connect to anywhere else.

mod seal;
mod tunnel;

pub use seal::{SealKeys, Sealer};

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderValue, StatusCode, Uri, header, uri::Scheme};
use hyper::upgrade::OnUpgrade;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use service_kit::Lifecycle;
use tokio_util::sync::CancellationToken;

use crate::{engineio, metrics};

/// An owner that cannot be reached within this time is gone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Connections kept to each other gateway for the next request.
const KEPT_CONNECTIONS: usize = 64;
/// Marks a request that was passed on: it is not passed on again.
const FORWARDED: &str = "x-forwarded-by-gateway";

/// Passes requests on to the gateways that own their sessions.
#[derive(Debug, Clone)]
pub struct Forwarder {
    sealer: Arc<Sealer>,
    client: Client<HttpConnector, Body>,
    drain_window: Duration,
    lifecycle: Lifecycle,
}

impl Forwarder {
    /// Passes on what `sealer` finds to be another gateway's. When the process stops, tunnels are closed over `drain_window`.
    pub fn new(sealer: Arc<Sealer>, drain_window: Duration, lifecycle: Lifecycle) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(KEPT_CONNECTIONS)
            .build(connector);
        Self { sealer, client, drain_window, lifecycle }
    }

    /// The other gateway that owns the request's session, if one does.
    fn owner(&self, request: &Request) -> Option<SocketAddr> {
        if request.headers().contains_key(FORWARDED) {
            return None;
        }
        let sid = engineio::sid_of(request.uri().query().unwrap_or_default())?;
        self.sealer.owner(sid).filter(|owner| *owner != self.sealer.address())
    }

    async fn pass_on(&self, mut request: Request, owner: SocketAddr) -> Response {
        let from_client = request.extensions_mut().remove::<OnUpgrade>();
        let answered = match passed_on(request, owner) {
            Some(request) => self.client.request(request).await.ok(),
            None => None,
        };
        let Some(mut response) = answered else {
            metrics::forwarded("gone");
            return engineio::session_unknown();
        };
        metrics::forwarded("answered");
        if response.status() == StatusCode::SWITCHING_PROTOCOLS
            && let (Some(from_client), Some(to_owner)) = (from_client, response.extensions_mut().remove::<OnUpgrade>())
        {
            let stop = drained(self.lifecycle.stopping().clone(), self.drain_window);
            self.lifecycle.spawn(tunnel::run(from_client, to_owner, stop));
        }
        response.map(Body::new)
    }
}

/// Passes a request on if another gateway owns its session.
pub async fn forward(State(forwarder): State<Forwarder>, request: Request, next: Next) -> Response {
    match forwarder.owner(&request) {
        Some(owner) => forwarder.pass_on(request, owner).await,
        None => next.run(request).await,
    }
}

/// Waits until the process stops, and then for this connection's turn.
async fn drained(stopping: CancellationToken, window: Duration) {
    stopping.cancelled().await;
    tokio::time::sleep(window.mul_f64(fastrand::f64())).await;
}

/// The request as it goes to `owner`.
fn passed_on(request: Request, owner: SocketAddr) -> Option<Request> {
    let (mut parts, body) = request.into_parts();
    let mut uri = parts.uri.into_parts();
    uri.scheme = Some(Scheme::HTTP);
    uri.authority = owner.to_string().parse().ok();
    parts.uri = Uri::from_parts(uri).ok()?;
    parts.headers.insert(FORWARDED, HeaderValue::from_static("1"));
    // Each connection has its own; only an upgrade goes all the way.
    if !parts.headers.contains_key(header::UPGRADE) {
        parts.headers.remove(header::CONNECTION);
    }
    Some(Request::from_parts(parts, body))
}

//! Any gateway takes any request: one of a session that another gateway owns is passed on to it. No sticky sessions.
//!
//! The id of a session is sealed: it names its owner, and only a gateway can make or read one. So a client cannot have
//! a gateway connect to anywhere else, and learns no address. Whether the session lives is for its owner to say: it
//! knows none of before its start.

mod seal;
mod tunnel;

pub use seal::{SealKeys, Sealer};

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderValue, Method, StatusCode, Uri, header, uri::Scheme};
use hyper::{body::Incoming, upgrade::OnUpgrade};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use service_kit::{Lifecycle, clock};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    engineio::{self, SidSource},
    metrics,
};

/// An owner that cannot be reached within this time is gone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Connections kept to each other gateway for the next request.
const KEPT_CONNECTIONS: usize = 64;
/// How long such a connection may be idle: well below the time after which the other gateway closes it, so that no
/// request meets its end.
const KEPT_FOR: Duration = Duration::from_secs(10);
/// Marks a request that was passed on: it is not passed on again.
const FORWARDED: &str = "x-forwarded-by-gateway";

impl SidSource for Sealer {
    fn sid(&self) -> io::Result<Box<str>> {
        self.seal(clock::unix_ms())
    }
}

/// Passes requests on to the gateways that own their sessions.
#[derive(Debug, Clone)]
pub struct Forwarder {
    sealer: Arc<Sealer>,
    client: Client<HttpConnector, Body>,
    drain: Drain,
    lifecycle: Lifecycle,
}

/// How the connections that are passed on end when the process stops.
#[derive(Debug, Clone)]
pub struct Drain {
    /// They end spread over so long.
    pub window: Duration,
    /// The gateway's own sessions have ended, and with them what is still passed on.
    pub over: CancellationToken,
}

impl Forwarder {
    /// Passes on what `sealer` finds to be another gateway's. When the process stops, tunnels and long polls end over a
    /// window.
    pub fn new(sealer: Arc<Sealer>, drain: Drain, lifecycle: Lifecycle) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(KEPT_CONNECTIONS)
            .pool_idle_timeout(KEPT_FOR)
            .build(connector);
        Self { sealer, client, drain, lifecycle }
    }

    /// The other gateway that owns the request's session, if one does.
    fn owner(&self, request: &Request) -> Option<SocketAddr> {
        if request.headers().contains_key(FORWARDED) {
            return None;
        }
        let sid = engineio::sid_of(request.uri().query().unwrap_or_default())?;
        self.sealer.owner(sid, clock::unix_ms()).filter(|owner| *owner != self.sealer.address())
    }

    async fn pass_on(&self, mut request: Request, owner: SocketAddr) -> Response {
        let from_client = request.extensions_mut().remove::<OnUpgrade>();
        let answered = match passed_on(request, owner) {
            Some(request) => self.answer(request).await,
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
            let stop = turn(self.lifecycle.stopping().clone(), self.drain.clone());
            self.lifecycle.spawn(tunnel::run(from_client, to_owner, stop));
        }
        response.map(Body::new)
    }

    /// The owner's answer, if there is one. A poll may wait for longer than a stop takes: it is given up in its turn,
    /// by which its owner closes the session, so that the client comes back through another gateway.
    async fn answer(&self, request: Request) -> Option<hyper::Response<Incoming>> {
        let is_poll = request.method() == Method::GET && !request.headers().contains_key(header::UPGRADE);
        let answered = self.client.request(request);
        tokio::select! {
            answered = answered => answered.ok(),
            () = turn(self.lifecycle.stopping().clone(), self.drain.clone()), if is_poll => None,
        }
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
async fn turn(stopping: CancellationToken, drain: Drain) {
    stopping.cancelled().await;
    let _ = timeout(drain.window.mul_f64(fastrand::f64()), drain.over.cancelled()).await;
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

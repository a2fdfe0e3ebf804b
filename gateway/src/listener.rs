//! The accept loop: TCP connections to an axum router over HTTP/1, with limits and a graceful end.

mod client;
mod patience;
mod rate;

pub use client::{InvalidNetwork, Networks};

use crate::{
    engineio::{self, ClientAddress},
    tcp::{Arrival, Watched},
};
use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
};
use http::{HeaderValue, Response, StatusCode, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use patience::Patience;
use rate::ConnectionRate;
use service_kit::{host, rate::Rate};
use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_service::Service;

/// How long accepting rests after an error such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Limits of the accept loop.
#[derive(Debug, Clone)]
pub struct Config {
    /// Time for a request's headers to arrive, from their first byte; for the first request, from the connection's
    /// start.
    pub header_timeout: Duration,
    /// Time for the next request on a kept connection to begin.
    pub keep_alive: Duration,
    /// Largest size of a request's headers, in bytes (431 above); at least 8 KB.
    pub max_header_bytes: usize,
    /// New connections per client IP; loopback is exempt.
    pub connections: Rate,
    /// Networks whose `X-Forwarded-For` is believed. Their connections are many clients': each *request* that
    /// begins a session counts against the rate of the client it names, and gets 429 above it. So does each further
    /// one on a direct client's connection.
    pub trusted_proxies: Networks,
    /// Time that open HTTP requests get to end after `shutdown` was cancelled.
    pub shutdown_timeout: Duration,
}

impl Default for Config {
    /// The gateway's production limits.
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(15),
            keep_alive: Duration::from_secs(75),
            max_header_bytes: 16 * 1024,
            connections: const { Rate::new(50, 500) },
            trusted_proxies: Networks::default(),
            shutdown_timeout: Duration::from_secs(30),
        }
    }
}

/// Serves `router` until `shutdown` is cancelled, then stops accepting and lets open requests end, for
/// [`Config::shutdown_timeout`] at most. Upgraded connections are not its business: see
/// [`crate::socketio::Server::shutdown`]; long polls end by that, too.
///
/// Requests carry `axum::extract::ConnectInfo<SocketAddr>` (the TCP peer) and [`ClientAddress`] (the client behind
/// trusted proxies) as extensions.
pub async fn serve(listener: TcpListener, router: Router, config: Config, shutdown: CancellationToken) {
    let connections = TaskTracker::new();
    let rate = ConnectionRate::new(config.connections);
    let shutdown_timeout = config.shutdown_timeout;
    let front = Arc::new(Front { router, config, rate, shutdown: shutdown.clone() });
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) if front.admits(peer) => {
                connections.spawn(Arc::clone(&front).connection(stream, peer));
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if timeout(shutdown_timeout, connections.wait()).await.is_err() {
        tracing::warn!(open = connections.len(), "HTTP connections are cut off");
    }
}

/// What every connection needs.
#[derive(Debug)]
struct Front {
    router: Router,
    config: Config,
    rate: ConnectionRate,
    shutdown: CancellationToken,
}

impl Front {
    fn is_proxy(&self, peer: SocketAddr) -> bool {
        self.config.trusted_proxies.contain(peer.ip())
    }

    /// Whether the peer may connect now. A proxy may; its clients are told apart by their requests.
    fn admits(&self, peer: SocketAddr) -> bool {
        self.is_proxy(peer) || self.rate.admits(peer.ip())
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        // Small frames must not wait for the ack of the ones before. Without it the connection is slower, no more.
        let _ = stream.set_nodelay(true);
        let arrival = Arrival::default();
        let patience = Patience::new(self.config.header_timeout, self.config.keep_alive, arrival.clone());
        let has_session = AtomicBool::new(false);
        let service = service_fn(|request| self.request(request, peer, &has_session));
        let connection = http1::Builder::new()
            .timer(patience)
            .header_read_timeout(self.config.header_timeout)
            .max_buf_size(self.config.max_header_bytes.max(8 * 1024))
            .serve_connection(TokioIo::new(Watched::new(stream, arrival)), service)
            .with_upgrades();
        let mut connection = pin!(connection);
        // Errors here are the client's: a broken or malformed request.
        tokio::select! {
            _ = connection.as_mut() => return,
            () = self.shutdown.cancelled() => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }

    /// Answers a request of a connection, which has begun a session before or not.
    async fn request(
        &self,
        request: hyper::Request<Incoming>,
        peer: SocketAddr,
        has_session: &AtomicBool,
    ) -> Result<Response<Body>, Infallible> {
        if !host::is_valid(request.version(), request.headers()) {
            return Ok(malformed());
        }
        let mut request: Request = request.map(Body::new);
        let client = self.config.trusted_proxies.client(peer.ip(), request.headers());
        if engineio::begins_session(request.uri().query().unwrap_or_default()) {
            // The first session of a direct client was counted with its connection.
            let is_counted = !self.is_proxy(peer) && !has_session.swap(true, Ordering::Relaxed);
            if !is_counted && !self.rate.admits(client) {
                return Ok(refused(StatusCode::TOO_MANY_REQUESTS));
            }
        }
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(ClientAddress(client));
        self.router.clone().call(request).await
    }
}

/// The answer to a request that is no HTTP: the connection ends with it, as after one that hyper cannot read.
fn malformed() -> Response<Body> {
    let mut response = refused(StatusCode::BAD_REQUEST);
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn refused(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

//! The accept loop: TCP connections to an axum router over HTTP/1, with limits and a graceful end.

use axum::Router;
use std::{io, time::Duration};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Limits of the accept loop.
#[derive(Debug, Clone)]
pub struct Config {
    /// Time for a request's headers to arrive.
    pub header_timeout: Duration,
    /// Largest size of a request's headers, in bytes (431 above).
    pub max_header_bytes: usize,
    /// New connections per second and client IP; loopback is exempt.
    pub connections_per_second: u32,
    /// Burst of new connections per client IP.
    pub connection_burst: u32,
    /// Networks in CIDR notation whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<String>,
    /// Time that open HTTP requests get to end after `shutdown` was cancelled.
    pub shutdown_timeout: Duration,
}

impl Default for Config {
    /// The gateway's production limits.
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(15),
            max_header_bytes: 16 * 1024,
            connections_per_second: 50,
            connection_burst: 500,
            trusted_proxies: Vec::new(),
            shutdown_timeout: Duration::from_secs(30),
        }
    }
}

/// Serves `router` until `shutdown` is cancelled, then stops accepting and lets open requests end. Upgraded
/// connections are not its business: see [`crate::socketio::Server::shutdown`].
///
/// Requests carry `axum::extract::ConnectInfo<SocketAddr>` (the TCP peer).
///
/// # Errors
/// When `config` is not valid (a malformed network).
pub async fn serve(
    listener: TcpListener,
    router: Router,
    config: Config,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let _ = (listener, router, config, shutdown);
    todo!()
}

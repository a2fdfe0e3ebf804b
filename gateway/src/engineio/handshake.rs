//! What is kept of the HTTP request that opened a session.

use axum::extract::ConnectInfo;
use http::{HeaderMap, Uri, request::Parts};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What is kept of the HTTP request that opened a session.
#[derive(Debug)]
pub struct Handshake {
    /// The client's address: the TCP peer's, or what a trusted proxy says.
    pub client: IpAddr,
    /// URL and headers, if [`super::Config::keep_request`] asks for them.
    pub request: Option<Box<KeptRequest>>,
}

/// URL and headers of the opening request.
#[derive(Debug)]
pub struct KeptRequest {
    /// Path and query, e.g. `/socket.io/?EIO=4&transport=websocket`.
    pub url: String,
    /// The headers in their order, names in lower case; values that are no text are left out.
    pub headers: Vec<(String, String)>,
}

/// The client's address as the listener found it, among the request's extensions.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub IpAddr);

impl Handshake {
    pub(super) fn new(parts: &Parts, keep_request: bool) -> Self {
        let told = parts.extensions.get::<ClientAddress>().map(|client| client.0);
        let peer = || parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
        Self {
            client: told.or_else(peer).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            request: keep_request.then(|| Box::new(KeptRequest::new(&parts.uri, &parts.headers))),
        }
    }
}

impl KeptRequest {
    fn new(uri: &Uri, headers: &HeaderMap) -> Self {
        let text = headers
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
        Self { url: uri.to_string(), headers: text.collect() }
    }
}

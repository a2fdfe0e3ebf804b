//! One span and one measurement per REST request.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use http::Method;
use tracing::{Instrument, field::Empty, info_span};

use crate::metrics;

/// Runs the request in a span that begins a trace. What a caller says of a trace is not believed: it could mix its own
/// lines into the traces of others, and have everything recorded.
pub(super) async fn request(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let name = name_of(&request);
    let span =
        info_span!(parent: None, "rest", otel.name = name, otel.kind = "server", http.response.status_code = Empty);
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    span.record("http.response.status_code", status);
    metrics::request_answered(began.elapsed(), name, status);
    response
}

/// Method and pattern. Whatever a caller makes up, a path with ids or a method, would be a time series of its own.
fn name_of(request: &Request) -> String {
    let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS];
    match request.extensions().get::<MatchedPath>() {
        Some(route) if known.contains(request.method()) => format!("{} {}", request.method(), route.as_str()),
        _ => "unknown".to_owned(),
    }
}

//! One span and one measurement per REST request.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use service_kit::telemetry::propagation;
use tracing::{Instrument, field::Empty, info_span};

use crate::metrics;

/// Runs the request in a span that continues the caller's trace.
pub(super) async fn request(request: Request, next: Next) -> Response {
    let began = Instant::now();
    // The pattern, not the path: ids would make a time series each.
    let route = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str).to_owned();
    let name = format!("{} {route}", request.method());
    let span = info_span!("rest", otel.name = name, otel.kind = "server", http.response.status_code = Empty);
    propagation::continue_from_http(&span, request.headers());
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    span.record("http.response.status_code", status);
    metrics::request_answered(began.elapsed(), name, status);
    response
}

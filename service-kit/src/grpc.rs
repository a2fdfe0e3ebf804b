//! gRPC between the services: a server with health and reflection, and a client that balances over DNS.

mod client;
mod resolver;

pub use client::{Client, connect};

use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tonic::{
    server::NamedService,
    service::Routes,
    transport::{Server, server::TcpIncoming},
};

use crate::{Lifecycle, telemetry::propagation};

/// How long a call may take unless its caller says otherwise.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves one gRPC service, with the standard health and reflection services beside it, until the process stops.
pub async fn serve<S>(
    listener: TcpListener,
    service: S,
    descriptors: &'static [u8],
    lifecycle: &Lifecycle,
) -> anyhow::Result<()>
where
    S: tower_service::Service<http::Request<tonic::body::Body>, Error = std::convert::Infallible>
        + NamedService
        + Clone
        + Send
        + Sync
        + 'static,
    S::Response: axum::response::IntoResponse,
    S::Future: Send + 'static,
{
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<S>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(descriptors)
        .build_v1()
        .context("the descriptors for gRPC reflection are broken")?;
    let routes = Routes::new(service).add_service(health).add_service(reflection);
    let stopping = lifecycle.stopping().clone();
    let server = Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(10)))
        .trace_fn(request_span)
        .add_routes(routes)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), stopping.cancelled_owned());
    lifecycle.spawn_essential("grpc", async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "the gRPC server ended");
        }
    });
    Ok(())
}

fn request_span(request: &http::Request<()>) -> tracing::Span {
    let span = tracing::info_span!("grpc", otel.name = request.uri().path(), otel.kind = "server");
    propagation::continue_from_http(&span, request.headers());
    span
}

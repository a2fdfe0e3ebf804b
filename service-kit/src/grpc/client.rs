//! A gRPC client over all replicas of a service. Every call has a deadline and carries the trace.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tonic::{Status, body::Body, transport::Channel};
use tower_service::Service;

use super::{CALL_TIMEOUT, resolver};
use crate::{Lifecycle, telemetry::propagation};

/// Calls of a service whose replicas stand behind DNS names. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    channel: Channel,
    timeout: Duration,
}

/// A client of the service at `targets` (each `host:port`), with its calls spread over all addresses these resolve to.
///
/// It returns at once; while no replica can be reached, calls fail with `DEADLINE_EXCEEDED` or `UNAVAILABLE`.
pub fn connect(targets: &[String], lifecycle: &Lifecycle) -> Client {
    Client { channel: resolver::balanced_channel(targets.to_vec(), lifecycle), timeout: CALL_TIMEOUT }
}

impl Client {
    /// The same client with another deadline for its calls.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { channel: self.channel.clone(), timeout }
    }
}

type Response = http::Response<Body>;

impl Service<http::Request<Body>> for Client {
    type Response = Response;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Status>> + Send>>;

    /// Always ready: waiting for a replica is part of the call, under its deadline.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        propagation::inject_into_http(request.headers_mut());
        let timeout_ms = self.timeout.as_millis();
        if let Ok(value) = format!("{timeout_ms}m").parse() {
            request.headers_mut().insert("grpc-timeout", value);
        }
        let mut channel = self.channel.clone();
        let timeout = self.timeout;
        Box::pin(async move {
            let call = async {
                std::future::poll_fn(|context| Service::<http::Request<Body>>::poll_ready(&mut channel, context))
                    .await?;
                channel.call(request).await
            };
            match tokio::time::timeout(timeout, call).await {
                Ok(result) => result.map_err(|error| Status::from_error(error.into())),
                Err(_) => Err(Status::deadline_exceeded("no answer within the deadline")),
            }
        })
    }
}

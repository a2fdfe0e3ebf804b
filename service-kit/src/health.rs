//! `/healthz` (alive), `/readyz` (fit to serve) and `/metrics` (Prometheus text).

mod server;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context;
use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{Lifecycle, telemetry};

/// Whether a service is fit to serve: all its conditions hold and nobody has asked it to stop.
#[derive(Debug, Clone)]
pub struct Readiness {
    conditions: Arc<Mutex<Vec<Condition>>>,
    stopping: CancellationToken,
}

/// Something a service needs in order to serve, e.g. a connection.
#[derive(Debug, Clone)]
pub struct Condition {
    name: &'static str,
    holds: Arc<AtomicBool>,
}

impl Condition {
    /// Says whether it holds now, and logs when that changes.
    pub fn set(&self, holds: bool) {
        if self.holds.swap(holds, Ordering::Relaxed) != holds {
            let name = self.name;
            if holds { tracing::info!(name, "available") } else { tracing::warn!(name, "lost") }
        }
    }

    /// Whether it holds now.
    pub fn holds(&self) -> bool {
        self.holds.load(Ordering::Relaxed)
    }
}

impl Readiness {
    /// Without conditions: ready until asked to stop.
    pub fn new(lifecycle: &Lifecycle) -> Self {
        Self { conditions: Arc::default(), stopping: lifecycle.stopping().clone() }
    }

    /// Adds a condition, which does not hold yet.
    pub fn condition(&self, name: &'static str) -> Condition {
        let condition = Condition { name, holds: Arc::default() };
        self.conditions.lock().unwrap_or_else(PoisonError::into_inner).push(condition.clone());
        condition
    }

    /// What keeps the service from serving; empty when it is ready.
    pub fn missing(&self) -> Vec<&'static str> {
        let conditions = self.conditions.lock().unwrap_or_else(PoisonError::into_inner);
        let draining = self.stopping.is_cancelled().then_some("draining");
        let failing = conditions.iter().filter(|condition| !condition.holds()).map(|condition| condition.name);
        draining.into_iter().chain(failing).collect()
    }
}

/// The routes `/healthz`, `/readyz` and `/metrics`, to stand beside a service's own.
pub fn routes(readiness: Readiness) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(readiness)
}

async fn readyz(State(readiness): State<Readiness>) -> impl IntoResponse {
    let missing = readiness.missing();
    if missing.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", missing.join(", ")))
    }
}

async fn metrics() -> impl IntoResponse {
    ([("content-type", "text/plain; version=0.0.4")], telemetry::prometheus_text())
}

/// Serves the health routes on a port of their own until the process is done. Returns the bound address.
///
/// It outlives the drain, so that `/readyz` says `draining` rather than nothing.
pub async fn serve(listen: SocketAddr, readiness: Readiness, lifecycle: &Lifecycle) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener.local_addr()?;
    lifecycle.spawn_background(server::accept(listener, routes(readiness)));
    Ok(address)
}

//! The server: a handler on its endpoint.

use super::context::Context;
use super::error::HttpError;
use super::{CloseReason, Config, Handler, due, session::Session};
use axum::{Router, extract::Request, routing::any};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;
use tokio_util::{sync::CancellationToken, sync::DropGuard, task::TaskTracker};

/// Sessions that are closed together when the server shuts down over some time.
const SLICE: Duration = Duration::from_millis(10);

/// A handler on its endpoint. Cheap to clone.
#[derive(Debug)]
pub struct Server<H: Handler> {
    shared: Arc<Shared<H>>,
    sweeper: Arc<Sweeper>,
}

impl<H: Handler> Clone for Server<H> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), sweeper: Arc::clone(&self.sweeper) }
    }
}

/// The task that keeps the deadlines; it ends with the last clone of the server.
#[derive(Debug)]
struct Sweeper {
    _task: TaskTracker,
    _stop: DropGuard,
}

/// What requests and sessions need of the server.
#[derive(Debug)]
pub(super) struct Shared<H> {
    pub(super) handler: Arc<H>,
    pub(super) context: Arc<Context<Session>>,
    pub(super) tasks: TaskTracker,
}

impl<H: Handler> Shared<H> {
    /// Refuses new sessions while the server shuts down.
    pub(super) fn check_running(&self) -> Result<(), HttpError> {
        if self.tasks.is_closed() { Err(HttpError::Unavailable) } else { Ok(()) }
    }
}

impl<H: Handler> Server<H> {
    /// A server for `handler`. Call within a tokio runtime: it starts the task that keeps the deadlines.
    pub fn new(config: Config, handler: Arc<H>) -> Self {
        let context = Arc::new(Context::new(config));
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let task = TaskTracker::new();
        task.spawn(due::sweep(Arc::clone(&context), stop.clone()));
        let shared = Arc::new(Shared { handler, context, tasks });
        Self { shared, sweeper: Arc::new(Sweeper { _task: task, _stop: stop.drop_guard() }) }
    }

    /// The handler it serves.
    pub fn handler(&self) -> &Arc<H> {
        &self.shared.handler
    }

    /// The route of the endpoint.
    pub fn router(&self) -> Router {
        let server = self.clone();
        let handle = move |request: Request| {
            let server = server.clone();
            async move { server.shared.handle(request).await }
        };
        Router::new().route(&self.shared.context.config.path, any(handle))
    }

    /// Open sessions.
    pub fn sessions(&self) -> usize {
        self.shared.context.registry.len()
    }

    /// Refuses new sessions with 503, closes all open ones, spread evenly over `within`, and waits until the last one's
    /// task has ended.
    pub async fn shutdown(&self, within: Duration) {
        self.shared.tasks.close();
        let sessions = self.shared.context.registry.all();
        let slices = usize::try_from(within.as_millis() / SLICE.as_millis()).unwrap_or(usize::MAX).max(1);
        let per_slice = sessions.len().div_ceil(slices).max(1);
        let pause = within / u32::try_from(sessions.len().div_ceil(per_slice)).unwrap_or(u32::MAX).max(1);
        for slice in sessions.chunks(per_slice) {
            for session in slice {
                session.close(CloseReason::ServerClosed);
            }
            sleep(pause).await;
        }
        self.shared.tasks.wait().await;
    }
}

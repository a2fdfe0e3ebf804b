//! The server: the application on its endpoint.

use super::{Application, Config};
use std::{sync::Arc, time::Duration};

/// The application on its endpoint. Cheap to clone.
#[derive(Debug)]
pub struct Server<A: Application> {
    application: Arc<A>,
    config: Arc<Config>,
}

impl<A: Application> Server<A> {
    /// A server for `application`. Call within a tokio runtime: it starts the heartbeat task.
    pub fn new(config: Config, application: Arc<A>) -> Self {
        Self {
            application,
            config: Arc::new(config),
        }
    }

    /// The application it serves.
    pub fn application(&self) -> &Arc<A> {
        &self.application
    }

    /// Routes of the endpoint: one path, to be merged with others. Serve it by [`crate::listener`], as upgrades
    /// need the bare socket.
    pub fn router(&self) -> axum::Router {
        let _ = &self.config;
        todo!()
    }

    /// Open Engine.IO sessions.
    pub fn sessions(&self) -> usize {
        todo!()
    }

    /// Closes the transports of all sessions, spread evenly over `within`, refuses new ones with 503, and waits until
    /// the last session's task has ended. To drain: emit `server_draining` first, then call this.
    pub async fn shutdown(&self, within: Duration) {
        let _ = within;
        todo!()
    }
}

impl<A: Application> Clone for Server<A> {
    fn clone(&self) -> Self {
        Self {
            application: Arc::clone(&self.application),
            config: Arc::clone(&self.config),
        }
    }
}

//! The server: the application on its endpoint.

use super::connection::Protocol;
use super::{Application, Config};
use crate::engineio;
use std::{sync::Arc, time::Duration};

/// The application on its endpoint. Cheap to clone.
pub struct Server<A: Application> {
    engine: engineio::Server<Protocol<A>>,
}

impl<A: Application> Server<A> {
    /// A server for `application`. Call within a tokio runtime: it starts the heartbeat task.
    pub fn new(config: Config, application: Arc<A>) -> Self {
        let protocol = Protocol { application, connect_timeout: config.connect_timeout };
        Self { engine: engineio::Server::new(config.engine, Arc::new(protocol)) }
    }

    /// The application it serves.
    pub fn application(&self) -> &Arc<A> {
        &self.engine.handler().application
    }

    /// Routes of the endpoint: one path, to be merged with others. Serve it by [`crate::listener`], as upgrades
    /// need the bare socket.
    pub fn router(&self) -> axum::Router {
        self.engine.router()
    }

    /// Open Engine.IO sessions.
    pub fn sessions(&self) -> usize {
        self.engine.sessions()
    }

    /// Closes the transports of all sessions, spread evenly over `within`, refuses new ones with 503, and waits until
    /// the last session's task has ended (at most 10 s more, for clients that do not read). To drain: emit
    /// `server_draining` first, then call this.
    pub async fn shutdown(&self, within: Duration) {
        self.engine.shutdown(within).await;
    }
}

impl<A: Application> Clone for Server<A> {
    fn clone(&self) -> Self {
        Self { engine: self.engine.clone() }
    }
}

//! The chat application on its Socket.IO endpoint, and how it is drained.

use std::{sync::Arc, time::Duration};

use axum::{Router, middleware::from_fn_with_state};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    chat::{self, Chat, Context},
    engineio,
    forwarding::{self, Drain, Forwarder, Sealer},
    socketio::{self, Server},
    stop::Stop,
};

/// How the endpoint behaves.
#[derive(Debug)]
pub struct Endpoint {
    /// The limits of the transport, and the web pages that may use long polling.
    pub engine: engineio::Config,
    /// Makes the ids of long-polling sessions, and finds their owners.
    pub sealer: Sealer,
    /// How long a client may take to connect.
    pub connect_timeout: Duration,
}

/// Starts the endpoint and returns its routes. When the process stops, its sessions are closed over the drain window;
/// then the token is cancelled.
pub fn start(context: &Arc<Context>, endpoint: Endpoint, stop: Stop) -> (Router, CancellationToken) {
    let Endpoint { engine, sealer, connect_timeout } = endpoint;
    let (sealer, lifecycle) = (Arc::new(sealer), context.lifecycle.clone());
    let drained = CancellationToken::new();
    let forwarding = Drain { window: stop.window, over: drained.clone() };
    let forwarder = Forwarder::new(Arc::clone(&sealer), forwarding, lifecycle.clone());
    let engine = engineio::Config { sids: sealer, ..engine };
    let config = socketio::Config { engine, connect_timeout };
    let server = Server::new(config, Arc::new(Chat(Arc::clone(context))));
    let routes = server.router().layer(from_fn_with_state(forwarder, forwarding::forward));
    lifecycle.spawn_essential("sweeper", chat::sweep(Arc::clone(context)));
    lifecycle.spawn_essential("presence", chat::keep_presence(Arc::clone(context)));
    lifecycle.spawn_essential("drain", drain(Arc::clone(context), server, stop, drained.clone()));
    (routes, drained)
}

async fn drain(context: Arc<Context>, server: Server<Chat>, stop: Stop, drained: CancellationToken) {
    context.lifecycle.stopping().cancelled().await;
    chat::drain(&context, stop.window);
    // A client that does not read may hold the end of its session for as long as a write may take.
    if timeout(stop.window + stop.sessions, server.shutdown(stop.window)).await.is_err() {
        tracing::warn!(open = server.sessions(), "clients that did not read are left behind");
    }
    drained.cancel();
}

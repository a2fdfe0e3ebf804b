//! The chat application on its Socket.IO endpoint, and how it is drained.

use std::{sync::Arc, time::Duration};

use proto::client::event;
use tokio_util::sync::CancellationToken;

use crate::{
    chat::{self, Chat, Context},
    cors::Origins,
    engineio, socketio,
    socketio::{Packet, Server},
};

/// Starts the endpoint. When the process stops, its sessions are closed over `drain_window`; then the token is cancelled.
pub fn start(
    context: &Arc<Context>,
    cors_origins: Origins,
    drain_window: Duration,
) -> (Server<Chat>, CancellationToken) {
    let engine = engineio::Config { cors_origins, ..engineio::Config::default() };
    let config = socketio::Config { engine, ..socketio::Config::default() };
    let server = Server::new(config, Arc::new(Chat(Arc::clone(context))));
    let drained = CancellationToken::new();
    context.lifecycle.spawn_essential("sweeper", chat::sweep(Arc::clone(context)));
    context
        .lifecycle
        .spawn_essential("drain", drain(Arc::clone(context), server.clone(), drain_window, drained.clone()));
    (server, drained)
}

async fn drain(context: Arc<Context>, server: Server<Chat>, window: Duration, drained: CancellationToken) {
    context.lifecycle.stopping().cancelled().await;
    let reconnect_after_ms = window.as_millis();
    let packet = Packet::event(event::SERVER_DRAINING, &format!("{{\"reconnectAfterMs\":{reconnect_after_ms}}}"));
    context.users.tell_all(&packet);
    server.shutdown(window).await;
    drained.cancel();
}

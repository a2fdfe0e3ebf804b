//! The suite of the Socket.IO protocol: events come back.

use crate::eio;
use axum::Router;
use gateway::socketio::{Accept, Application, CloseReason, Config, Connect, Emitter, Event, Refuse, Server};
use std::{sync::Arc, time::Duration};

struct Suite;

struct Socket {
    emitter: Emitter,
    auth: String,
}

impl Application for Suite {
    type Socket = Socket;

    async fn connect(&self, request: Connect<'_>) -> Result<Accept<Socket>, Refuse> {
        if !matches!(request.namespace, "/" | "/custom") {
            return Err(Refuse::InvalidNamespace);
        }
        let socket = Socket { emitter: request.emitter, auth: request.auth.to_owned() };
        Ok(Accept { socket: Arc::new(socket), pid: None })
    }

    fn connected(&self, socket: &Arc<Socket>) {
        let _ = socket.emitter.emit("auth", &socket.auth);
    }

    fn event(&self, socket: &Arc<Socket>, event: Event<'_>) {
        if socket.emitter.namespace() != "/" {
            return;
        }
        let (args, attachments) = (event.args.raw(), &event.attachments);
        let _ = match (event.name, event.ack) {
            ("message", _) => socket.emitter.emit_binary("message-back", args, attachments),
            ("message-with-ack", Some(id)) => socket.emitter.ack_binary(id, args, attachments),
            _ => Ok(()),
        };
    }

    fn disconnected(&self, _: &Arc<Socket>, _: CloseReason) {}
}

pub(crate) fn router() -> Router {
    let config = Config { engine: eio::config("/socket.io/"), connect_timeout: Duration::from_secs(1) };
    Server::new(config, Arc::new(Suite)).router()
}

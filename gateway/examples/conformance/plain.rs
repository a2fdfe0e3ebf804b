//! The plain suite: a token is needed, `echo` acks its arguments, `hi` comes back.

use crate::sessions::{Opened, Sessions};
use axum::Router;
use gateway::{
    cors::Origins,
    engineio,
    socketio::{Accept, Application, CloseReason, Config, Connect, Emitter, Event, Packet, Refuse, Server},
};
use serde::Deserialize;
use std::{sync::Arc, time::Duration};

struct Suite {
    /// If recovery is on.
    sessions: Option<Sessions>,
}

struct Socket {
    emitter: Emitter,
    /// If recovery is on.
    pid: Option<String>,
    /// What a recovered client is sent first.
    missed: Vec<Packet>,
}

#[derive(Deserialize)]
struct Auth {
    token: Option<String>,
}

impl Application for Suite {
    type Socket = Socket;

    async fn connect(&self, request: Connect<'_>) -> Result<Accept<Socket>, Refuse> {
        if request.namespace != "/" {
            return Err(Refuse::InvalidNamespace);
        }
        let auth: Option<Auth> = serde_json::from_str(request.auth).ok();
        if auth.is_none_or(|auth| auth.token.as_deref() != Some("good")) {
            return Err(Refuse::Error {
                message: "unauthorized".to_owned(),
                data: Some(r#"{"code":"UNAUTHORIZED"}"#.to_owned()),
            });
        }
        let emitter = request.emitter;
        let Some(sessions) = &self.sessions else {
            return Ok(Accept { socket: Arc::new(Socket { emitter, pid: None, missed: Vec::new() }), pid: None });
        };
        let Opened { pid, missed } = sessions.open(&emitter, request.auth).ok_or(Refuse::Close)?;
        Ok(Accept { socket: Arc::new(Socket { emitter, pid: Some(pid.clone()), missed }), pid: Some(pid) })
    }

    fn connected(&self, socket: &Arc<Socket>) {
        let _ = socket.emitter.send_all(socket.missed.iter().cloned());
    }

    fn event(&self, socket: &Arc<Socket>, event: Event<'_>) {
        let (emitter, args) = (&socket.emitter, event.args.raw());
        match (event.name, event.ack) {
            ("echo", Some(id)) => drop(emitter.ack_binary(id, args, &event.attachments)),
            ("hi", _) => self.hi(socket, args, &event),
            _ => {}
        }
    }

    fn disconnected(&self, socket: &Arc<Socket>, reason: CloseReason) {
        if let (Some(sessions), Some(pid)) = (&self.sessions, &socket.pid) {
            sessions.left(pid, reason);
        }
    }
}

impl Suite {
    fn hi(&self, socket: &Socket, args: &str, event: &Event<'_>) {
        let emitter = &socket.emitter;
        match (&self.sessions, &socket.pid) {
            (Some(sessions), Some(pid)) => sessions.emit((pid, emitter), "hi", args, &event.attachments),
            _ => drop(emitter.emit_binary("hi", args, &event.attachments)),
        }
    }
}

pub(crate) fn router(cors: Origins, recovery: bool) -> Router {
    let engine = engineio::Config {
        ping_interval: Duration::from_secs(1),
        ping_timeout: Duration::from_millis(800),
        max_payload: 100_000,
        upgrade_timeout: Duration::from_millis(1500),
        cors_origins: cors,
        ..engineio::Config::default()
    };
    let config = Config { engine, connect_timeout: Duration::from_millis(1500) };
    Server::new(config, Arc::new(Suite { sessions: recovery.then(Sessions::default) })).router()
}

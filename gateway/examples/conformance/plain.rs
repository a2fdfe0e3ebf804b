//! The plain suite: a token is needed, `echo` acks its arguments, `hi` comes back.

use axum::Router;
use gateway::{
    cors::Origins,
    engineio::{self, Sid},
    socketio::{Accept, Application, CloseReason, Config, Connect, Emitter, Event, Refuse, Server},
};
use serde::Deserialize;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

struct Suite {
    recovery: bool,
}

struct Socket {
    emitter: Emitter,
    /// Number of the next offset, if recovery is on.
    offset: Option<AtomicU64>,
}

#[derive(Deserialize)]
struct Auth {
    token: Option<String>,
    pid: Option<String>,
}

impl Application for Suite {
    type Socket = Socket;

    async fn connect(&self, request: Connect<'_>) -> Result<Accept<Socket>, Refuse> {
        if request.namespace != "/" {
            return Err(Refuse::InvalidNamespace);
        }
        let auth: Option<Auth> = serde_json::from_str(request.auth).ok();
        let Some(auth) = auth.filter(|auth| auth.token.as_deref() == Some("good")) else {
            return Err(Refuse::Error {
                message: "unauthorized".to_owned(),
                data: Some(r#"{"code":"UNAUTHORIZED"}"#.to_owned()),
            });
        };
        let fresh = || Sid::random().map(|pid| pid.as_str().to_owned()).ok();
        let pid = if self.recovery { auth.pid.or_else(fresh) } else { None };
        let offset = self.recovery.then(AtomicU64::default);
        Ok(Accept { socket: Arc::new(Socket { emitter: request.emitter, offset }), pid })
    }

    fn event(&self, socket: &Arc<Socket>, event: Event<'_>) {
        let args = event.args.raw();
        let _ = match (event.name, event.ack) {
            ("echo", Some(id)) => socket.emitter.ack_binary(id, args, &event.attachments),
            ("hi", _) => socket.hi(args, &event),
            _ => Ok(()),
        };
    }

    fn disconnected(&self, _: &Arc<Socket>, _: CloseReason) {}
}

impl Socket {
    fn hi(&self, args: &str, event: &Event<'_>) -> Result<(), engineio::Closed> {
        let Some(offset) = &self.offset else {
            return self.emitter.emit_binary("hi", args, &event.attachments);
        };
        let offset = format!("\"{}\"", offset.fetch_add(1, Ordering::Relaxed));
        let args = if args.is_empty() { offset } else { format!("{args},{offset}") };
        self.emitter.emit_binary("hi", &args, &event.attachments)
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
    Server::new(config, Arc::new(Suite { recovery })).router()
}

//! The suite of the Engine.IO protocol: every message is echoed.

use axum::Router;
use gateway::engineio::{CloseReason, Config, Control, Handle, Handler, Message, Payload, Server};
use std::{convert::Infallible, sync::Arc, time::Duration};

/// Times of the suites for the protocols.
pub(crate) fn config(path: &str) -> Config {
    Config {
        path: path.to_owned(),
        ping_interval: Duration::from_millis(300),
        ping_timeout: Duration::from_millis(200),
        max_payload: 1_000_000,
        max_queued_bytes: 4_000_000,
        cors_origins: "*".parse().unwrap_or_default(),
        ..Config::default()
    }
}

struct Echo;

impl Handler for Echo {
    type Session = Handle;
    type Outcome = Infallible;

    fn open(&self, handle: &Handle) -> Handle {
        handle.clone()
    }

    fn message(&self, session: &mut Handle, message: Message<'_>) -> Control<Infallible> {
        let echo = match message {
            Message::Text(text) => Payload::text(text),
            Message::Binary(bytes) => Payload::binary(bytes),
        };
        // A closed session gets no echo.
        let _ = session.send([echo]);
        Control::Continue
    }

    fn resume(&self, _: &mut Handle, outcome: Infallible) -> Control<Infallible> {
        match outcome {}
    }

    fn closed(&self, _: Handle, _: CloseReason) {}
}

pub(crate) fn router() -> Router {
    Server::new(config("/engine.io/"), Arc::new(Echo)).router()
}

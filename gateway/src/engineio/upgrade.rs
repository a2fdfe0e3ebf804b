//! The upgrade of a polling session to a WebSocket.

use super::error::HttpError;
use super::link::{Link, ReadError};
use super::opening::{switch_protocols, take_link};
use super::packet::{Incoming, text_frame};
use super::server::Shared;
use super::{Handler, session::Session};
use crate::ws::{self, Item};
use axum::body::Body;
use http::{Response, request::Parts};
use hyper::upgrade::OnUpgrade;
use std::{future::poll_fn, sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

/// How long a waiting GET is left alone after the probe: a client that does not wait for it upgrades at once.
const FIRST_NOOP_AFTER: Duration = Duration::from_millis(10);

/// How long a GET that comes later is left alone, as the reference server does.
const NOOP_AFTER: Duration = Duration::from_millis(100);

impl<H: Handler> Shared<H> {
    /// Lets a second transport in. If the session cannot be upgraded (any more) it is closed after its handshake, as
    /// the reference server does: clients take a refused handshake for a failure of the whole session.
    pub(super) fn upgrade(
        self: &Arc<Self>,
        parts: &mut Parts,
        session: Arc<Session>,
    ) -> Result<Response<Body>, HttpError> {
        let (response, on_upgrade) = switch_protocols(parts)?;
        let limit = self.context.config.upgrade_timeout;
        if session.begin_upgrade() {
            self.tasks.spawn(async move {
                // Whatever went wrong: polling goes on.
                let _ = timeout(limit, Box::pin(probe(on_upgrade, &session))).await;
                session.end_upgrade();
            });
        } else {
            self.tasks.spawn(async move {
                if let Some(link) = take_link(on_upgrade).await {
                    let _ = timeout(limit, Box::pin(close(link))).await;
                }
            });
        }
        Ok(response)
    }
}

impl Session {
    /// Whether the session can be upgraded; only one attempt at a time may.
    fn begin_upgrade(&self) -> bool {
        let mut state = self.lock();
        if state.closed.is_some() {
            return false;
        }
        state.polling.as_mut().is_some_and(|polling| !std::mem::replace(&mut polling.upgrading, true))
    }

    fn end_upgrade(&self) {
        if let Some(polling) = &mut self.lock().polling
            && polling.upgraded.is_none()
        {
            polling.upgrading = false;
        }
    }

    /// Gives the session its WebSocket.
    fn complete_upgrade(&self, link: Link) {
        let mut state = self.lock();
        if let Some(polling) = &mut state.polling {
            polling.upgraded = Some(Box::new(link));
            state.wake_task();
        }
    }

    fn is_closed(&self) -> bool {
        self.lock().closed.is_some()
    }
}

/// Answers the client's probe and waits for its upgrade packet.
async fn probe(on_upgrade: OnUpgrade, session: &Arc<Session>) {
    let Some(mut link) = take_link(on_upgrade).await else { return };
    if next_packet(&mut link, session).await != Some(Packet::Probe) {
        return close(link).await;
    }
    let mut pong = Vec::new();
    text_frame(b'3', b"probe", &mut pong);
    if link.write_all(&pong).await.is_err() {
        return;
    }
    let mut patience = FIRST_NOOP_AFTER;
    let packet = loop {
        tokio::select! {
            packet = next_packet(&mut link, session) => break packet,
            () = sleep(patience) => session.end_get(),
        }
        patience = NOOP_AFTER;
        if session.is_closed() {
            break None;
        }
    };
    match packet {
        Some(Packet::Upgrade) if !session.is_closed() => session.complete_upgrade(link),
        _ => close(link).await,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packet {
    Probe,
    Upgrade,
    Other,
}

/// The next packet of the second transport; `None` when it is lost. Cancel-safe: what was read stays in the link.
async fn next_packet(link: &mut Link, session: &Session) -> Option<Packet> {
    let limit = session.context.config.max_payload;
    let mut packet = None;
    while packet.is_none() {
        let read: Result<(), ReadError> = poll_fn(|cx| {
            link.poll_read(cx, limit, |item| {
                packet = match item {
                    Item::Text(text) => Some(match Incoming::parse(&text, false) {
                        Ok(Incoming::Probe) => Packet::Probe,
                        Ok(Incoming::Upgrade) => Packet::Upgrade,
                        _ => Packet::Other,
                    }),
                    Item::Binary(_) | Item::Close(_) => Some(Packet::Other),
                    Item::Ping(_) | Item::Pong => None,
                };
                packet.is_none()
            })
        })
        .await;
        if read.is_err() && packet.is_none() {
            return None;
        }
    }
    packet
}

/// Closes a WebSocket that becomes no transport.
async fn close(mut link: Link) {
    let mut frame = Vec::new();
    ws::encode_close(None, &mut frame);
    if link.write_all(&frame).await.is_ok() && poll_fn(|cx| link.poll_shutdown(cx)).await.is_ok() {
        poll_fn(|cx| link.poll_end(cx)).await;
    }
}

//! The upgrade of a polling session to a WebSocket.

use super::error::HttpError;
use super::link::Link;
use super::opening::{switch_protocols, take_link};
use super::packet::{Incoming, Outgoing, text_frame};
use super::server::Shared;
use super::{Handler, session::Session};
use crate::ws::{self, Item};
use axum::body::Body;
use http::{Response, request::Parts};
use hyper::upgrade::OnUpgrade;
use std::{future::poll_fn, pin::pin, sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

/// Largest message before the upgrade, in bytes: a probe, and the packet that ends it.
const PROBE_BYTES: usize = 1024;

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
            self.tasks.spawn(attempt(on_upgrade, session));
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

/// Makes the second transport the session's, or closes it: whatever went wrong, polling goes on.
async fn attempt(on_upgrade: OnUpgrade, session: Arc<Session>) {
    let limit = session.context.config.upgrade_timeout;
    let Ok(Some(mut link)) = timeout(limit, take_link(on_upgrade)).await else { return session.end_upgrade() };
    match timeout(limit, Box::pin(probe(&mut link, &session))).await {
        Ok(Some(Packet::Upgrade)) if !session.is_closed() => session.complete_upgrade(link),
        _ => {
            session.end_upgrade();
            let _ = timeout(limit, Box::pin(close(link))).await;
        }
    }
}

/// Answers the client's probe and gives what it sends after it; `None` if that is no probe, or nothing comes.
async fn probe(link: &mut Link, session: &Arc<Session>) -> Option<Packet> {
    if next_packet(link).await != Some(Packet::Probe) {
        return None;
    }
    let mut pong = Vec::new();
    text_frame(b'3', b"probe", &mut pong);
    link.write_all(&pong).await.ok()?;
    let mut next = pin!(next_packet(link));
    let mut patience = FIRST_NOOP_AFTER;
    loop {
        tokio::select! {
            packet = &mut next => return packet,
            () = sleep(patience) => session.end_get(),
        }
        patience = NOOP_AFTER;
        if session.is_closed() {
            return None;
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packet {
    Probe,
    Upgrade,
    Other,
}

/// The next packet of the second transport; `None` when it is lost. Pings on the way are answered, of those that were
/// read together the last one.
async fn next_packet(link: &mut Link) -> Option<Packet> {
    loop {
        let (mut packet, mut pong) = (None, Vec::new());
        let read = poll_fn(|cx| {
            link.poll_read(cx, PROBE_BYTES, |item| {
                packet = match item {
                    Item::Text(text) => Some(match Incoming::parse(&text) {
                        Ok(Incoming::Probe) => Packet::Probe,
                        Ok(Incoming::Upgrade) => Packet::Upgrade,
                        _ => Packet::Other,
                    }),
                    Item::Binary(_) | Item::Close(_) => Some(Packet::Other),
                    Item::Ping(payload) => {
                        pong.clear();
                        Outgoing::ControlPong(payload.into_bytes()).write_frame(&mut pong);
                        None
                    }
                    Item::Pong => None,
                };
                packet.is_none()
            })
        })
        .await;
        if !pong.is_empty() {
            link.write_all(&pong).await.ok()?;
        }
        if packet.is_some() || read.is_err() {
            return packet;
        }
    }
}

/// Closes a WebSocket that becomes no transport.
async fn close(mut link: Link) {
    let mut frame = Vec::new();
    ws::encode_close(None, &mut frame);
    if link.write_all(&frame).await.is_ok() && poll_fn(|cx| link.poll_shutdown(cx)).await.is_ok() {
        poll_fn(|cx| link.poll_end(cx)).await;
    }
}

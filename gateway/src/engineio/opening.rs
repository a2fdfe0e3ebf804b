//! How a session begins: over polling, or as a WebSocket.

use super::answer::answer;
use super::error::HttpError;
use super::link::Link;
use super::server::Shared;
use super::task::SessionTask;
use super::{CloseReason, Handler, Handshake, session::Session};
use crate::{tcp, ws};
use axum::body::Body;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, request::Parts};
use hyper::upgrade::OnUpgrade;
use std::sync::Arc;

impl<H: Handler> Shared<H> {
    /// Opens a polling session; the answer has the open packet.
    pub(super) async fn open_polling(self: &Arc<Self>, parts: &Parts) -> Result<Response<Body>, HttpError> {
        self.check_running()?;
        let handshake = Handshake::new(parts, self.context.config.keep_request);
        let session = Session::new(&self.context, handshake, true).map_err(|_| HttpError::Unavailable)?;
        let get = session.begin_get()?;
        self.run(&session, None);
        get.await.map(|body| answer("text/plain; charset=UTF-8", body))
    }

    /// Opens a session over a WebSocket.
    pub(super) fn open_websocket(self: &Arc<Self>, parts: &mut Parts) -> Result<Response<Body>, HttpError> {
        self.check_running()?;
        let (response, on_upgrade) = switch_protocols(parts)?;
        let handshake = Handshake::new(parts, self.context.config.keep_request);
        let shared = Arc::clone(self);
        let opening = async move {
            if let Some(link) = take_link(on_upgrade).await
                && let Ok(session) = Session::new(&shared.context, handshake, false)
            {
                // A task of its own, as this one is as large as what it waited for.
                shared.run(&session, Some(link));
            }
        };
        self.tasks.spawn(opening);
        Ok(response)
    }

    /// Starts the task of a new session, which is registered already.
    fn run(&self, session: &Arc<Session>, link: Option<Link>) {
        self.tasks.spawn(SessionTask::new(Arc::clone(&self.handler), Arc::clone(session), link));
        // It may have come too late to be closed with the others.
        if self.tasks.is_closed() {
            session.close(CloseReason::ServerClosed);
        }
    }
}

/// Checks a WebSocket's opening handshake and answers it; the connection can be had afterwards.
pub(super) fn switch_protocols(parts: &mut Parts) -> Result<(Response<Body>, OnUpgrade), HttpError> {
    if parts.method != Method::GET {
        return Err(HttpError::BadHandshakeMethod);
    }
    let key = ws::upgrade_key(&parts.headers).map_err(|_| HttpError::BadRequest)?;
    let accept = HeaderValue::from_str(&ws::accept_key(key)).map_err(|_| HttpError::BadRequest)?;
    let on_upgrade = parts.extensions.remove::<OnUpgrade>().ok_or(HttpError::BadRequest)?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    // Browsers fail a connection whose offered subprotocols are left unanswered; the reference takes the first.
    if let Some(protocol) = first_protocol(&parts.headers) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    Ok((response, on_upgrade))
}

fn first_protocol(headers: &HeaderMap) -> Option<HeaderValue> {
    let offered = headers.get(header::SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    HeaderValue::from_str(offered.split(',').next()?.trim()).ok()
}

/// The bare socket out of hyper's hands, once the answer is written.
pub(super) async fn take_link(on_upgrade: OnUpgrade) -> Option<Link> {
    let Some((stream, read)) = tcp::bare(on_upgrade.await.ok()?) else {
        tracing::error!("not a bare TCP stream: the router has to be served by the listener");
        return None;
    };
    Some(Link::new(stream, &read))
}

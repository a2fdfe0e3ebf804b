//! The HTTP long-polling side of a session: one GET that fetches, one POST that delivers.

use super::error::HttpError;
use super::link::Link;
use super::packet::Incoming;
use super::{CloseReason, payload, session::Session};
use bytes::Bytes;
use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// Answers a GET that has to end for an upgrade, or as the client closed the session.
const NOOP: &str = "6";

/// Answers the last GET of a session.
const CLOSE: &str = "1";

/// What a session has only while it is polling.
#[derive(Debug, Default)]
pub(super) struct Polling {
    /// Packets of the current POST that the session's task has not handled yet.
    pub(super) inbox: VecDeque<Inbound>,
    get: Get,
    /// End the waiting GET with a noop.
    noop: bool,
    post: Post,
    pub(super) upgrading: bool,
    /// The WebSocket that takes over.
    pub(super) upgraded: Option<Box<Link>>,
}

/// A packet out of a POST.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Inbound {
    Text(String),
    Binary(Bytes),
    Pong,
    Close,
    /// A ping, which only the server sends.
    Violation,
}

#[derive(Debug, Default)]
enum Get {
    #[default]
    None,
    Waiting(Option<Waker>),
}

#[derive(Debug, Default)]
enum Post {
    #[default]
    None,
    /// Its body is read.
    Reading(Option<Waker>),
    /// Its packets are handled.
    Delivering(Option<Waker>),
    Handled,
}

impl Polling {
    /// Whether a GET waits for what is queued.
    pub(super) fn has_get(&self) -> bool {
        matches!(self.get, Get::Waiting(_))
    }

    pub(super) fn wake_get(&self) {
        if let Get::Waiting(Some(waker)) = &self.get {
            waker.wake_by_ref();
        }
    }

    pub(super) fn wake_post(&self) {
        if let Post::Reading(Some(waker)) | Post::Delivering(Some(waker)) = &self.post {
            waker.wake_by_ref();
        }
    }

    /// The session's task has handled all of the inbox.
    pub(super) fn handled(&mut self) {
        if let Post::Delivering(Some(waker)) = &self.post {
            waker.wake_by_ref();
            self.post = Post::Handled;
        }
    }
}

impl Inbound {
    /// What of a packet the session's task has to do with; upgrade packets mean nothing here.
    pub(super) fn from_packet(packet: Incoming<'_>) -> Option<Self> {
        Some(match packet {
            Incoming::Text(text) => Self::Text(text.to_owned()),
            Incoming::Binary(bytes) => Self::Binary(bytes),
            Incoming::Pong => Self::Pong,
            Incoming::Close => Self::Close,
            Incoming::Probe => Self::Violation,
            Incoming::Upgrade | Incoming::Ignored => return None,
        })
    }
}

impl Session {
    /// Whether requests still find the session: also after the server closed it, to fetch the rest.
    fn check_open(self: &Arc<Self>) -> Result<(), HttpError> {
        if self.is_dead() {
            self.close(CloseReason::PingTimeout);
        }
        match self.lock().closed {
            None | Some(CloseReason::ServerClosed) => Ok(()),
            Some(_) => Err(HttpError::SessionUnknown),
        }
    }

    /// Begins a GET. A second one at a time closes the session.
    pub(super) fn begin_get(self: &Arc<Self>) -> Result<GetRequest, HttpError> {
        self.check_open()?;
        let mut state = self.lock();
        let polling = state.polling.as_mut().ok_or(HttpError::BadRequest)?;
        if matches!(polling.get, Get::Waiting(_)) {
            drop(state);
            self.close(CloseReason::ProtocolError);
            return Err(HttpError::BadRequest);
        }
        polling.get = Get::Waiting(None);
        Ok(GetRequest { session: Arc::clone(self), ended: false })
    }

    /// Begins a POST. A second one at a time closes the session.
    pub(super) fn begin_post(self: &Arc<Self>) -> Result<PostRequest, HttpError> {
        self.check_open()?;
        let mut state = self.lock();
        let polling = state.polling.as_mut().ok_or(HttpError::BadRequest)?;
        if matches!(polling.post, Post::Reading(_) | Post::Delivering(_)) {
            drop(state);
            self.close(CloseReason::ProtocolError);
            return Err(HttpError::BadRequest);
        }
        polling.post = Post::Reading(None);
        Ok(PostRequest { session: Arc::clone(self), ended: false })
    }

    /// Whether a GET waits.
    pub(super) fn has_get(&self) -> bool {
        let state = self.lock();
        state.polling.as_ref().is_some_and(|polling| matches!(polling.get, Get::Waiting(_)))
    }

    /// Ends a waiting GET with a noop, so that the client can go on with an upgrade.
    pub(super) fn end_get(&self) {
        if let Some(polling) = &mut self.lock().polling
            && matches!(polling.get, Get::Waiting(_))
        {
            polling.noop = true;
            polling.wake_get();
        }
    }
}

/// A GET that waits for packets. Dropping it before its end closes the session: the client went away.
#[derive(Debug)]
pub(super) struct GetRequest {
    session: Arc<Session>,
    ended: bool,
}

impl Future for GetRequest {
    type Output = Result<String, HttpError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let mut guard = this.session.lock();
        let state = &mut *guard;
        let closed = state.closed;
        // Upgraded while this GET waited: it is not part of the session any more.
        let Some(polling) = &mut state.polling else {
            return Poll::Ready(Err(HttpError::BadRequest));
        };
        let noop = std::mem::take(&mut polling.noop);
        let upgrading = polling.upgrading;
        if closed.is_none() && state.queue.is_empty() && !noop {
            polling.get = Get::Waiting(Some(cx.waker().clone()));
            return Poll::Pending;
        }
        polling.get = Get::None;
        this.ended = true;
        let queue = state.take_queue();
        this.session.settle(state);
        drop(guard);
        let last = match closed {
            Some(CloseReason::ClientClosed) => Some(NOOP),
            // A close goes alone, to the next GET: the official client handles what comes with it only when it is
            // connected again, and has asked for it anew by then. One that upgrades may not send another GET.
            Some(_) => (queue.is_empty() || upgrading).then_some(CLOSE),
            None => queue.is_empty().then_some(NOOP),
        };
        if closed.is_some() && last.is_some() {
            this.session.context.registry.remove(&this.session.sid);
        }
        Poll::Ready(Ok(payload::encode(queue.iter(), last)))
    }
}

impl Drop for GetRequest {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let mut state = self.session.lock();
        if let Some(polling) = &mut state.polling
            && matches!(polling.get, Get::Waiting(_))
        {
            polling.get = Get::None;
            drop(state);
            self.session.close(CloseReason::ClientClosed);
        }
    }
}

/// A POST from its first byte to its answer. Dropping it before its end closes the session.
#[derive(Debug)]
pub(super) struct PostRequest {
    session: Arc<Session>,
    ended: bool,
}

impl PostRequest {
    /// Ends it without packets.
    pub(super) fn cancel(mut self) {
        self.end();
    }

    /// Waits until the session takes nothing more from its client; what is left of the body need not be read then.
    pub(super) async fn refused(&self) -> HttpError {
        std::future::poll_fn(|cx| {
            let mut state = self.session.lock();
            match (state.closed, &mut state.polling) {
                (Some(CloseReason::ProtocolError), _) => return Poll::Ready(HttpError::BadRequest),
                (None | Some(CloseReason::ServerClosed), Some(polling)) => {
                    polling.post = Post::Reading(Some(cx.waker().clone()));
                }
                // Upgraded while it was read: it is delivered to nobody.
                (None, None) => {}
                (Some(_), _) => return Poll::Ready(HttpError::SessionUnknown),
            }
            Poll::Pending
        })
        .await
    }

    /// Gives the packets to the session's task and waits until all are handled.
    pub(super) async fn deliver(mut self, packets: VecDeque<Inbound>) -> Result<(), HttpError> {
        let mut packets = Some(packets);
        let session = Arc::clone(&self.session);
        let result = std::future::poll_fn(|cx| {
            let mut state = session.lock();
            let closed = state.closed;
            let Some(polling) = &mut state.polling else { return Poll::Ready(Ok(())) };
            match (closed, &polling.post) {
                (Some(CloseReason::ProtocolError), _) => return Poll::Ready(Err(HttpError::BadRequest)),
                (Some(_), _) | (None, Post::Handled) => return Poll::Ready(Ok(())),
                (None, _) => polling.post = Post::Delivering(Some(cx.waker().clone())),
            }
            if let Some(packets) = packets.take() {
                polling.inbox = packets;
                state.wake_task();
            }
            Poll::Pending
        })
        .await;
        self.end();
        result
    }

    fn end(&mut self) {
        self.ended = true;
        if let Some(polling) = &mut self.session.lock().polling {
            polling.post = Post::None;
        }
    }
}

impl Drop for PostRequest {
    fn drop(&mut self) {
        if !self.ended {
            self.end();
            self.session.close(CloseReason::ClientClosed);
        }
    }
}

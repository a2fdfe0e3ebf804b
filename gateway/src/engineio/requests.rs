//! The HTTP long-polling side of a session: one GET that fetches, one POST that delivers.

use super::error::HttpError;
use super::polling::{Get, Inbound, Post};
use super::{CloseReason, payload, session::Session};
use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// Answers a GET that has to end for an upgrade, or as the client closed the session.
const NOOP: &str = "6";

/// Answers the last GET of a session.
const CLOSE: &str = "1";

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
        if polling.has_get() {
            drop(state);
            self.close(CloseReason::ProtocolError);
            return Err(HttpError::BadRequest);
        }
        polling.get = Get::Waiting(None);
        if state.proof.fetches() {
            state.wake_task();
        }
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
        self.lock().polling.as_ref().is_some_and(|polling| polling.has_get())
    }

    /// Ends a waiting GET with a noop, so that the client can go on with an upgrade.
    pub(super) fn end_get(&self) {
        if let Some(polling) = &mut self.lock().polling
            && polling.has_get()
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
        state.proof.fetched();
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
            && polling.has_get()
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

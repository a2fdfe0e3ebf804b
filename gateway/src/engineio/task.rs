//! The task of a session: it owns the handler's state and the WebSocket, and lives as long as they do.

use super::dispatch::Dispatch;
use super::link::{Link, ReadError};
use super::{
    CloseReason, Handler,
    session::{Reads, Session, Turn},
};
use crate::ws;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// Reads of one turn, before other tasks get theirs.
const READS_PER_TURN: usize = 4;

/// The task of a session.
pub(super) struct SessionTask<H: Handler> {
    dispatch: Dispatch<H>,
    /// `None` while the session is polling.
    link: Option<Link>,
    stage: Stage,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    Open,
    /// Closed: what is queued is written.
    Draining(CloseReason),
    /// The close frame is written.
    Closing(CloseReason),
    /// The close frame is out; the client's end is awaited, so that it gets the frame and no reset.
    Lingering,
    /// The connection is gone. What was begun is ended all the same.
    Over,
}

impl<H: Handler> SessionTask<H> {
    /// Opens the session for the handler.
    pub(super) fn new(handler: Arc<H>, session: Arc<Session>, link: Option<Link>) -> Self {
        let dispatch = Dispatch::new(handler, session);
        Self { dispatch, link, stage: Stage::Open }
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        for _ in 0..READS_PER_TURN {
            if let Some(reason) = self.begin_turn() {
                return Poll::Ready(reason);
            }
            let input = match self.dispatch.poll_wait(cx) {
                Poll::Ready(()) => self.poll_input(cx),
                Poll::Pending => Poll::Pending,
            };
            // What is left is gone on with when it wakes the task.
            let _ = self.dispatch.session.poll_work(cx);
            let output = self.poll_flush(cx);
            if let Some(reason) = self.dispatch.session.lock().closed {
                return Poll::Ready(reason);
            }
            // A client that does not take what we write is not read from either.
            ready!(output);
            ready!(input);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// From here on the task writes what is queued. Gives the reason if the session is closed.
    fn begin_turn(&self) -> Option<CloseReason> {
        let mut state = self.dispatch.session.lock();
        if self.link.is_some() {
            state.turn = Turn::Writing;
        }
        state.closed
    }

    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(link) = &mut self.link else {
            return self.poll_inbox();
        };
        let dispatch = &mut self.dispatch;
        if !link.has_read() && dispatch.session.lock().reads == Reads::Pause {
            return Poll::Pending;
        }
        let limit = dispatch.session.context.config.max_payload;
        let before = link.unread();
        match ready!(link.poll_read(cx, limit, |item| dispatch.item(item))) {
            Ok(()) if link.unread() == before => {}
            Ok(()) => dispatch.keeps(link.unread()),
            Err(ReadError::Io(_)) => dispatch.session.close(CloseReason::ConnectionLost),
            Err(ReadError::Violation(violation)) => dispatch.violation(violation),
        }
        Poll::Ready(())
    }

    /// Takes packets that were posted, or the WebSocket that replaces polling.
    fn poll_inbox(&mut self) -> Poll<()> {
        let mut state = self.dispatch.session.lock();
        if state.proof.tells() {
            drop(state);
            self.dispatch.proved();
            return Poll::Ready(());
        }
        let Some(polling) = &mut state.polling else { return Poll::Pending };
        if let Some(inbound) = polling.inbox.pop_front() {
            drop(state);
            self.dispatch.inbound(inbound);
            return Poll::Ready(());
        }
        polling.handled();
        if let Some(link) = polling.upgraded.take() {
            polling.wake_get();
            state.polling = None;
            let is_unproved = state.proof.upgraded();
            drop(state);
            self.link = Some(*link);
            if is_unproved {
                self.dispatch.session.ping_for_proof();
            }
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(link) = &mut self.link else { return Poll::Ready(()) };
        let session = &self.dispatch.session;
        let take = |frames: &mut Vec<u8>| session.take_frames(frames);
        if ready!(link.poll_flush(cx, take, |rest, progress| session.written(rest, progress))).is_err() {
            session.close(CloseReason::ConnectionLost);
        }
        Poll::Ready(())
    }

    /// Tells the handler; gives the next stage, `None` if there is nothing left to be done.
    fn finish(&mut self, reason: CloseReason) -> Option<Stage> {
        self.dispatch.finish(reason);
        let session = &self.dispatch.session;
        // What is left of a polling session that we closed is fetched by the next GET.
        if self.link.is_some() || reason != CloseReason::ServerClosed {
            session.context.registry.remove(&session.sid);
        }
        self.link.as_ref()?;
        match reason {
            CloseReason::ConnectionLost => None,
            reason if reason.drains() => Some(Stage::Draining(reason)),
            reason => Some(self.begin_closing(reason)),
        }
    }

    fn begin_closing(&mut self, reason: CloseReason) -> Stage {
        let mut frame = Vec::new();
        ws::encode_close(self.dispatch.close_code, &mut frame);
        if let Some(link) = &mut self.link {
            link.append(&frame);
        }
        Stage::Closing(reason)
    }

    fn poll_closing(&mut self, cx: &mut Context<'_>, reason: CloseReason) -> Poll<Option<Stage>> {
        let is_stuck = matches!(reason, CloseReason::PingTimeout | CloseReason::QueueFull | CloseReason::WriteTimeout);
        if self.poll_flush(cx).is_pending() && !is_stuck {
            return Poll::Pending;
        }
        let Some(link) = &mut self.link else { return Poll::Ready(None) };
        // A client that closed waits for the end of the connection (RFC 6455 section 7.1.1).
        if is_stuck || reason == CloseReason::ClientClosed {
            return Poll::Ready(None);
        }
        let shut_down = ready!(link.poll_shutdown(cx));
        self.dispatch.session.linger();
        Poll::Ready(shut_down.is_ok().then_some(Stage::Lingering))
    }
}

impl<H: Handler> SessionTask<H> {
    /// Has the task woken from now on. Says whether the rest of the session is not waited for.
    fn is_abandoned(&self, cx: &Context<'_>) -> bool {
        let mut state = self.dispatch.session.lock();
        if state.task.as_ref().is_none_or(|task| !task.will_wake(cx.waker())) {
            state.task = Some(cx.waker().clone());
        }
        state.abandoned
    }
}

impl<H: Handler> Future for SessionTask<H> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.is_abandoned(cx) {
            this.dispatch.give_up();
            this.stage = Stage::Over;
        }
        loop {
            if !matches!(this.stage, Stage::Open) {
                let _ = this.dispatch.session.poll_work(cx);
            }
            let next = match this.stage {
                Stage::Open => {
                    let reason = ready!(this.poll_open(cx));
                    this.finish(reason)
                }
                Stage::Draining(reason) => {
                    ready!(this.poll_flush(cx));
                    Some(this.begin_closing(reason))
                }
                Stage::Closing(reason) => ready!(this.poll_closing(cx, reason)),
                Stage::Lingering => {
                    if let Some(link) = &mut this.link {
                        ready!(link.poll_end(cx));
                    }
                    None
                }
                Stage::Over => {
                    this.link = None;
                    return this.dispatch.session.poll_rest(cx);
                }
            };
            this.stage = next.unwrap_or(Stage::Over);
        }
    }
}

#[cfg(test)]
mod tests;

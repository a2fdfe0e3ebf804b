//! The task of a session: it owns the handler's state and the WebSocket, and lives as long as they do.

use super::link::{Link, ReadError};
use super::packet::Incoming;
use super::polling::Inbound;
use super::{CloseReason, Control, Handle, Handler, Message, session::Session};
use crate::ws::{self, Item, Violation};
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
    core: Core<H>,
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
}

/// The part that handles what is read.
struct Core<H: Handler> {
    handler: Arc<H>,
    session: Arc<Session>,
    /// Until the session is over.
    state: Option<H::Session>,
    waiting: Option<Pin<Box<dyn Future<Output = H::Outcome> + Send>>>,
    /// Code of the close frame.
    close_code: Option<u16>,
}

impl<H: Handler> SessionTask<H> {
    /// Opens the session for the handler.
    pub(super) fn new(handler: Arc<H>, session: Arc<Session>, link: Option<Link>) -> Self {
        let state = Some(handler.open(&Handle(Arc::clone(&session))));
        let core = Core { handler, session, state, waiting: None, close_code: None };
        Self { core, link, stage: Stage::Open }
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        for _ in 0..READS_PER_TURN {
            if let Some(reason) = self.core.session.lock().closed {
                return Poll::Ready(reason);
            }
            let input = match self.core.poll_wait(cx) {
                Poll::Ready(()) => self.poll_input(cx),
                Poll::Pending => Poll::Pending,
            };
            let output = self.poll_flush(cx);
            if let Some(reason) = self.core.session.lock().closed {
                return Poll::Ready(reason);
            }
            // A client that does not take what we write is not read from either.
            ready!(output);
            ready!(input);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(link) = &mut self.link else {
            return self.poll_inbox();
        };
        let core = &mut self.core;
        let limit = core.session.context.config.max_payload;
        match ready!(link.poll_read(cx, limit, |item| core.item(item))) {
            Ok(()) => {}
            Err(ReadError::Io(_)) => core.session.close(CloseReason::ConnectionLost),
            Err(ReadError::Violation(violation)) => core.violation(violation),
        }
        Poll::Ready(())
    }

    /// Takes packets that were posted, or the WebSocket that replaces polling.
    fn poll_inbox(&mut self) -> Poll<()> {
        let mut state = self.core.session.lock();
        let Some(polling) = &mut state.polling else { return Poll::Pending };
        if let Some(inbound) = polling.inbox.pop_front() {
            drop(state);
            self.core.inbound(inbound);
            return Poll::Ready(());
        }
        polling.handled();
        if let Some(link) = polling.upgraded.take() {
            polling.wake_get();
            state.polling = None;
            self.link = Some(*link);
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(link) = &mut self.link else { return Poll::Ready(()) };
        if ready!(link.poll_flush(cx, &self.core.session)).is_err() {
            self.core.session.close(CloseReason::ConnectionLost);
        }
        Poll::Ready(())
    }

    /// Tells the handler; gives the next stage, `None` if there is nothing left to be done.
    fn finish(&mut self, reason: CloseReason) -> Option<Stage> {
        self.core.waiting = None;
        if let Some(state) = self.core.state.take() {
            self.core.handler.closed(state, reason);
        }
        let session = &self.core.session;
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
        ws::encode_close(self.core.close_code, &mut frame);
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
        self.core.session.linger();
        Poll::Ready(shut_down.is_ok().then_some(Stage::Lingering))
    }
}

impl<H: Handler> Future for SessionTask<H> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        {
            let mut state = this.core.session.lock();
            if state.abandoned {
                return Poll::Ready(());
            }
            if state.task.as_ref().is_none_or(|task| !task.will_wake(cx.waker())) {
                state.task = Some(cx.waker().clone());
            }
        }
        loop {
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
                    let Some(link) = &mut this.link else { return Poll::Ready(()) };
                    return link.poll_end(cx);
                }
            };
            match next {
                Some(stage) => this.stage = stage,
                None => return Poll::Ready(()),
            }
        }
    }
}

impl<H: Handler> Drop for Core<H> {
    /// Whatever ended the task before its time (a panic of the handler, the end of the runtime): nothing is left of
    /// the session.
    fn drop(&mut self) {
        if let Some(state) = self.state.take() {
            self.session.close(CloseReason::ConnectionLost);
            self.session.context.registry.remove(&self.session.sid);
            self.handler.closed(state, CloseReason::ConnectionLost);
        }
    }
}

impl<H: Handler> Core<H> {
    /// Ready when the handler takes the next message.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let (Some(waiting), Some(state)) = (&mut self.waiting, &mut self.state) {
            let outcome = ready!(waiting.as_mut().poll(cx));
            self.waiting = None;
            let control = self.handler.resume(state, outcome);
            self.control(control);
        }
        Poll::Ready(())
    }

    /// Goes on as the handler says; false if the next message has to wait.
    fn control(&mut self, control: Control<H::Outcome>) -> bool {
        match control {
            Control::Continue => return true,
            Control::Close(reason) => self.session.close(reason),
            Control::Wait(future) => self.waiting = Some(future),
        }
        false
    }

    /// Handles an item of the WebSocket; false if the next one has to wait.
    fn item(&mut self, item: Item<'_>) -> bool {
        match item {
            Item::Text(text) => self.packet(&text),
            Item::Binary(data) => self.message(Message::Binary(data.into_bytes())),
            Item::Ping(payload) => {
                self.session.control_pong(payload.into_bytes());
                true
            }
            Item::Pong => true,
            Item::Close(code) => {
                self.close_code = code;
                self.session.close(CloseReason::ClientClosed);
                false
            }
        }
    }

    fn packet(&mut self, packet: &str) -> bool {
        match Incoming::parse(packet, false) {
            Ok(Incoming::Text(text)) => self.message(Message::Text(text)),
            Ok(Incoming::Binary(bytes)) => self.message(Message::Binary(bytes)),
            Ok(Incoming::Pong) => {
                self.session.pong();
                true
            }
            Ok(Incoming::Upgrade | Incoming::Ignored) => true,
            Ok(Incoming::Close) => {
                self.session.close(CloseReason::ClientClosed);
                false
            }
            Ok(Incoming::Probe) | Err(_) => {
                self.session.close(CloseReason::ProtocolError);
                false
            }
        }
    }

    fn inbound(&mut self, inbound: Inbound) {
        match inbound {
            Inbound::Text(text) => {
                self.message(Message::Text(&text));
            }
            Inbound::Binary(bytes) => {
                self.message(Message::Binary(bytes));
            }
            Inbound::Pong => self.session.pong(),
            Inbound::Close => self.session.close(CloseReason::ClientClosed),
            Inbound::Violation => self.session.close(CloseReason::ProtocolError),
        }
    }

    fn message(&mut self, message: Message<'_>) -> bool {
        let Some(state) = &mut self.state else { return false };
        let control = self.handler.message(state, message);
        self.control(control)
    }

    fn violation(&mut self, violation: Violation) {
        self.close_code = Some(violation.close_code() as u16);
        self.session.close(match violation {
            Violation::TooLarge => CloseReason::PayloadTooLarge,
            _ => CloseReason::ProtocolError,
        });
    }
}

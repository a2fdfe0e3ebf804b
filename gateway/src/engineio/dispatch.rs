//! What a client sent, on its way to the handler.

use super::packet::Incoming;
use super::polling::Inbound;
use super::{CloseReason, Control, Handle, Handler, Message, session::Session};
use crate::ws::{CloseCode, Item, Violation};
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// Hands what is read to the handler, one thing after the other.
pub(super) struct Dispatch<H: Handler> {
    handler: Arc<H>,
    pub(super) session: Arc<Session>,
    /// Until the session is over.
    state: Option<H::Session>,
    waiting: Option<Pin<Box<dyn Future<Output = H::Outcome> + Send>>>,
    /// Code of the close frame.
    pub(super) close_code: Option<u16>,
}

impl<H: Handler> Drop for Dispatch<H> {
    /// Whatever ended the task before its time (a panic of the handler, the end of the runtime): nothing is left of
    /// the session.
    fn drop(&mut self) {
        self.give_up();
        self.session.drop_work();
    }
}

impl<H: Handler> Dispatch<H> {
    /// Opens the session for the handler.
    pub(super) fn new(handler: Arc<H>, session: Arc<Session>) -> Self {
        let state = Some(handler.open(&Handle(Arc::clone(&session))));
        Self { handler, session, state, waiting: None, close_code: None }
    }

    /// Ends a session that nobody has closed in good order.
    pub(super) fn give_up(&mut self) {
        if let Some(state) = self.state.take() {
            self.session.close(CloseReason::ConnectionLost);
            self.session.context.registry.remove(&self.session.sid);
            self.handler.closed(state, CloseReason::ConnectionLost);
        }
    }

    /// Tells the handler that the session is over.
    pub(super) fn finish(&mut self, reason: CloseReason) {
        self.waiting = None;
        if let Some(state) = self.state.take() {
            self.handler.closed(state, reason);
        }
    }

    /// Ready when the handler takes the next message.
    pub(super) fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
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
    pub(super) fn item(&mut self, item: Item<'_>) -> bool {
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
        match Incoming::parse(packet) {
            Ok(Incoming::Text(text)) => self.message(Message::Text(text)),
            Ok(Incoming::Binary(bytes)) => self.message(Message::Binary(bytes)),
            Ok(Incoming::Pong) => {
                self.pong();
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

    pub(super) fn inbound(&mut self, inbound: Inbound) {
        match inbound {
            Inbound::Text(text) => {
                self.message(Message::Text(&text));
            }
            Inbound::Binary(bytes) => {
                self.message(Message::Binary(bytes));
            }
            Inbound::Pong => self.pong(),
            Inbound::Close => self.session.close(CloseReason::ClientClosed),
            Inbound::Violation => self.session.close(CloseReason::ProtocolError),
        }
    }

    fn pong(&mut self) {
        if self.session.pong() {
            self.proved();
        }
    }

    /// The client has what was sent to it until a proof was wanted.
    pub(super) fn proved(&mut self) {
        if let Some(state) = &mut self.state {
            self.handler.proved(state);
        }
    }

    fn message(&mut self, message: Message<'_>) -> bool {
        let Some(state) = &mut self.state else { return false };
        let control = self.handler.message(state, message);
        self.control(control)
    }

    /// What was read and is not complete takes so many bytes of memory.
    pub(super) fn keeps(&mut self, unread: usize) {
        if !self.session.receives(unread) {
            self.close_code = Some(CloseCode::TryAgainLater as u16);
        }
    }

    pub(super) fn violation(&mut self, violation: Violation) {
        self.close_code = Some(violation.close_code() as u16);
        self.session.close(match violation {
            Violation::TooLarge => CloseReason::PayloadTooLarge,
            _ => CloseReason::ProtocolError,
        });
    }
}

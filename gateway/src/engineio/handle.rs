//! The sending side of a session, for the layer above.

use super::context::millis;
use super::deadlines::Deadline;
use super::packet::Outgoing;
use super::{CloseReason, Closed, Handshake, Payload, session::Session, sid::Sid};
use std::{sync::Arc, time::Duration};

/// The sending side of a session: cheap to clone, usable from any task or thread; nothing here waits.
#[derive(Debug, Clone)]
pub struct Handle(pub(super) Arc<Session>);

#[cfg(test)]
impl Handle {
    /// Of a session that polls and has no client: what is sent stays queued.
    pub(crate) fn of_nobody() -> Self {
        let context = super::context::Context::new(super::Config::default());
        let client = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
        Self(Session::new(&Arc::new(context), Handshake { client, request: None }, true).unwrap())
    }
}

impl Handle {
    /// The id of the session.
    pub fn sid(&self) -> &Sid {
        &self.0.sid
    }

    /// The HTTP request that opened it.
    pub fn handshake(&self) -> &Handshake {
        &self.0.handshake
    }

    /// Queues messages in this order with nothing in between, for the same write.
    ///
    /// # Errors
    /// [`Closed`] if the session is closed, or was just now as its queue passed the bound.
    pub fn send(&self, messages: impl IntoIterator<Item = Payload>) -> Result<(), Closed> {
        self.0.send(messages.into_iter().map(Outgoing::Message))
    }

    /// Reads nothing more from a WebSocket for a moment, as what its client sends now is to be refused.
    pub(crate) fn pause_reads(&self) {
        self.0.pause_reads();
    }

    /// Has the client prove that it has all that was sent until now, of which the handler is told: by the answer to a
    /// ping, or by its next GET.
    pub(crate) fn prove(&self) {
        self.0.prove();
    }

    /// Runs a future on the session's own task. It runs to its end also when the session is closed. A panic ends it
    /// alone.
    ///
    /// Only the handler and such a future may call this, as they run on that task.
    #[track_caller]
    pub fn run(&self, job: impl Future<Output = ()> + Send + 'static) {
        self.0.begin(Box::pin(service_kit::lifecycle::named(job)));
    }

    /// Closes the transport after what is queued was written, or fetched.
    pub fn close(&self) {
        self.0.close(CloseReason::ServerClosed);
    }

    /// Closes the session unless it is told otherwise within `timeout`.
    pub(crate) fn arm(&self, timeout: Duration) {
        let at = self.0.context.now() + millis(timeout);
        let mut state = self.0.lock();
        state.connect_by = Some(at);
        if !state.connect_watched {
            state.connect_watched = true;
            drop(state);
            self.0.watch(at, Deadline::Connect);
        }
    }

    /// Takes the deadline back.
    pub(crate) fn disarm(&self) {
        self.0.lock().connect_by = None;
    }

    /// Whether nothing can be sent any more.
    pub fn is_closed(&self) -> bool {
        self.0.lock().closed.is_some()
    }

    /// Bytes of payload that wait to be sent.
    pub fn queued_bytes(&self) -> usize {
        let state = self.0.lock();
        state.queued_bytes + state.unwritten
    }

    /// Packets that wait to be sent.
    pub fn queued_packets(&self) -> usize {
        self.0.lock().queue.len()
    }
}

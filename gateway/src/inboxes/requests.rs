//! Requests that go over an inbox's connection: those that wait are written together, and a number tells each answer.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::{BufMut as _, Bytes, BytesMut};
use proto::subjects::RequestSubject;
use service_kit::{bus::BusError, telemetry::propagation};
use tokio::{
    sync::{Notify, oneshot},
    time::timeout,
};
use uuid::Uuid;

use super::protocol::{self, Message};

/// Most bytes of requests that wait to be written. More are refused: the server takes no more for the moment.
const MAX_WAITING_BYTES: usize = 8 * 1024 * 1024;

/// What was asked over one connection and is not answered.
#[derive(Debug)]
pub(super) struct Requests {
    /// The subject of an answer: this, and the number of its request.
    prefix: String,
    state: Mutex<State>,
    changed: Notify,
    /// A request had no answer: the server may hang.
    is_suspected: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// A link takes what is asked.
    is_linked: bool,
    number: u64,
    /// Requests in the words of the protocol.
    waiting: BytesMut,
    open: HashMap<u64, oneshot::Sender<Result<Bytes, BusError>>>,
}

/// A request that is answered, or taken back when this is dropped.
struct Open<'a> {
    requests: &'a Requests,
    number: u64,
    answer: oneshot::Receiver<Result<Bytes, BusError>>,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.requests.lock().open.remove(&self.number);
    }
}

impl Requests {
    pub(super) fn new() -> Self {
        Self {
            prefix: format!("_INBOX.{}.", Uuid::now_v7().simple()),
            state: Mutex::default(),
            changed: Notify::new(),
            is_suspected: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks whoever serves the subject, and waits for the answer at most `patience`. While there is no link, or no
    /// room, that counts as if nobody served it.
    pub(super) async fn ask<Q: prost::Message, R: prost::Message + Default>(
        &self,
        subject: &RequestSubject<Q, R>,
        request: &Q,
        patience: Duration,
    ) -> Result<R, BusError> {
        self.ask_if_linked(subject, request, patience).await.unwrap_or(Err(BusError::NoResponders))
    }

    /// The same; `None` if nobody was asked.
    pub(super) async fn ask_if_linked<Q: prost::Message, R: prost::Message + Default>(
        &self,
        subject: &RequestSubject<Q, R>,
        request: &Q,
        patience: Duration,
    ) -> Option<Result<R, BusError>> {
        let mut open = self.open(subject, request)?;
        Some(match timeout(patience, &mut open.answer).await {
            Ok(Ok(answer)) => answer.and_then(|answer| R::decode(answer).map_err(|_| BusError::Undecodable)),
            // The link was lost, and with it the answer.
            Ok(Err(_)) => Err(BusError::Unavailable),
            Err(_) => {
                self.is_suspected.store(true, Ordering::Relaxed);
                self.changed.notify_one();
                Err(BusError::TimedOut)
            }
        })
    }

    fn open<Q: prost::Message, R>(&self, subject: &RequestSubject<Q, R>, request: &Q) -> Option<Open<'_>> {
        let (answered, answer) = oneshot::channel();
        let mut state = self.lock();
        if !state.is_linked || state.waiting.len() > MAX_WAITING_BYTES {
            return None;
        }
        state.number += 1;
        let (number, was_empty) = (state.number, state.waiting.is_empty());
        let headers = propagation::nats_header_lines();
        let reply = (self.prefix.as_str(), number);
        let length = request.encoded_len();
        protocol::announce(&mut state.waiting, subject.as_str(), reply, (&headers, length));
        // A buffer takes all.
        let _ = request.encode(&mut state.waiting);
        state.waiting.put_slice(protocol::END);
        state.open.insert(number, answered);
        drop(state);
        if was_empty {
            self.changed.notify_one();
        }
        Some(Open { requests: self, number, answer })
    }

    /// A new link takes what is asked from now on; returns the subject that it has to subscribe for the answers.
    pub(super) fn follow(&self) -> String {
        self.lock().is_linked = true;
        format!("{}*", self.prefix)
    }

    /// There is no link any more: what is open is not answered.
    pub(super) fn forsake(&self) {
        let mut state = self.lock();
        *state = State { number: state.number, ..State::default() };
    }

    /// Waits until something is asked, or the server is suspected.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Whether a request had no answer since this was asked last.
    pub(super) fn take_suspicion(&self) -> bool {
        self.is_suspected.swap(false, Ordering::Relaxed)
    }

    /// Moves what was asked to the end of `out`.
    pub(super) fn take(&self, out: &mut BytesMut) {
        let waiting = &mut self.lock().waiting;
        if out.is_empty() {
            std::mem::swap(out, waiting);
        } else {
            out.extend_from_slice(waiting);
        }
        waiting.clear();
    }

    /// Gives an answer to who waits for it. False if the message is none.
    pub(super) fn answer(&self, message: &Message<'_>) -> bool {
        let Some(number) = message.subject.strip_prefix(&self.prefix) else { return false };
        let open = number.parse().ok().and_then(|number: u64| self.lock().open.remove(&number));
        let answer = if message.headers.status() == Some(protocol::NO_RESPONDERS) {
            Err(BusError::NoResponders)
        } else {
            Ok(Bytes::copy_from_slice(message.payload))
        };
        // Who has given up needs none.
        let _ = open.map(|open| open.send(answer));
        true
    }
}

#[cfg(test)]
mod tests;

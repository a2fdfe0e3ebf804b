//! Receiving: subscriptions of typed payloads, and requests served under a bound.

use std::{
    marker::PhantomData,
    sync::{Arc, LazyLock},
    time::Duration,
};

use async_nats::{Message as NatsMessage, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use opentelemetry::{global, metrics::Counter};
use prost::Message;
use proto::subjects::{RequestSubject, Subject};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, info_span, warn};

use super::{Bus, BusError};
use crate::{Lifecycle, telemetry::propagation};

/// How long what was received may take to be taken when a group is left: while no server is reached nothing more comes.
const LEAVE_WITHIN: Duration = Duration::from_secs(1);

static UNDECODABLE: LazyLock<Counter<u64>> = LazyLock::new(|| {
    global::meter("service-kit")
        .u64_counter("bus.undecodable")
        .with_unit("{message}")
        .with_description("Payloads from NATS that could not be decoded and were dropped")
        .build()
});

/// Payloads of one subject, in the order in which the server sent them.
#[derive(Debug)]
pub struct Subscription<P> {
    subscriber: Subscriber,
    payload: PhantomData<fn() -> P>,
}

impl<P: Message + Default> Subscription<P> {
    /// The next payload, with a span that continues its trace; `None` when the subscription ended.
    ///
    /// What cannot be decoded is logged, counted and left out.
    pub async fn next(&mut self) -> Option<(P, Span)> {
        loop {
            let message = self.subscriber.next().await?;
            if let Some(payload) = decode(&message.subject, message.payload) {
                let span = info_span!("receive", otel.kind = "consumer");
                propagation::continue_from_nats(&span, message.headers.as_ref());
                return Some((payload, span));
            }
        }
    }
}

/// How many requests are served at once, and how large they may be together, on all subjects that share it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Slots {
    requests: Arc<Semaphore>,
    kib: Arc<Semaphore>,
}

/// Held while a request is served.
#[derive(Debug)]
struct Slot {
    _request: OwnedSemaphorePermit,
    _kib: OwnedSemaphorePermit,
}

impl Slots {
    /// Room for `limit` requests of any size.
    pub fn new(limit: usize) -> Self {
        Self::within(limit, Semaphore::MAX_PERMITS)
    }

    /// Room for `limit` requests that have `kib` KiB together.
    pub fn within(limit: usize, kib: usize) -> Self {
        Self {
            requests: Arc::new(Semaphore::new(limit)),
            kib: Arc::new(Semaphore::new(kib.min(Semaphore::MAX_PERMITS))),
        }
    }

    /// Room for a request of so many bytes, at once or after a wait. The semaphores are never closed.
    async fn room(&self, bytes: usize, waits: bool) -> Option<Slot> {
        if !waits {
            return self.try_take(bytes);
        }
        let request = self.requests.clone().acquire_owned().await.ok()?;
        let kib = self.kib.clone().acquire_many_owned(kib_of(bytes)).await.ok()?;
        Some(Slot { _request: request, _kib: kib })
    }

    /// Takes room if there is some.
    fn try_take(&self, bytes: usize) -> Option<Slot> {
        let request = self.requests.clone().try_acquire_owned().ok()?;
        let kib = self.kib.clone().try_acquire_many_owned(kib_of(bytes)).ok()?;
        Some(Slot { _request: request, _kib: kib })
    }
}

fn kib_of(bytes: usize) -> u32 {
    u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX)
}

/// What answers requests. Without an answer a request stays unanswered, as when its deadline has passed.
pub trait Handler<Q, R>: Fn(Q) -> Self::Answer + Send + 'static {
    /// The answer, once it is there.
    type Answer: Future<Output = Option<R>> + Send + 'static;
}

impl<Q, R, H, A> Handler<Q, R> for H
where
    H: Fn(Q) -> A + Send + 'static,
    A: Future<Output = Option<R>> + Send + 'static,
{
    type Answer = A;
}

/// The answer to a request for which there is no room.
pub type Refusal<Q, R> = fn(&Q) -> R;

/// One membership of a queue group.
struct Server<Q, R> {
    bus: Bus,
    subscriber: Subscriber,
    slots: Slots,
    /// Absent: requests wait for room.
    refusal: Option<Refusal<Q, R>>,
    until: CancellationToken,
    tasks: Lifecycle,
}

impl<Q: Message + Default + 'static, R: Message + 'static> Server<Q, R> {
    /// Serves until told to end; then it leaves the group and takes what it has received.
    async fn run(mut self, handler: impl Handler<Q, R>) {
        // Nothing of the server or the handler is borrowed while it waits: they need not be shared between threads.
        let (bus, slots, waits) = (self.bus.clone(), self.slots.clone(), self.refusal.is_none());
        while let Some(message) = self.until.run_until_cancelled(self.subscriber.next()).await.flatten() {
            let slot = slots.room(message.payload.len(), waits).await;
            if let Some((message, refusal)) = self.take(message, slot, &handler) {
                bus.answer(message, Some(refusal)).await;
            }
        }
        let left_at = Instant::now() + LEAVE_WITHIN;
        let _ = timeout_at(left_at, self.subscriber.drain()).await;
        while let Ok(Some(message)) = timeout_at(left_at, self.subscriber.next()).await {
            let slot = slots.room(message.payload.len(), waits).await;
            if let Some((message, refusal)) = self.take(message, slot, &handler) {
                bus.answer(message, Some(refusal)).await;
            }
        }
    }

    /// Begins to serve a request for which there is room. Without room it is given back with its refusal, to be answered at once:
    /// what waited would wait in the buffer of the subscription, which nobody sees.
    fn take(&self, message: NatsMessage, slot: Option<Slot>, handler: &impl Handler<Q, R>) -> Option<(NatsMessage, R)> {
        match self.refusal {
            Some(refusal) if slot.is_none() => {
                let request = decode::<Q>(&message.subject, message.payload.clone())?;
                Some((message, refusal(&request)))
            }
            _ => {
                self.begin(message, slot, handler);
                None
            }
        }
    }

    fn begin(&self, message: NatsMessage, slot: Option<Slot>, handler: &impl Handler<Q, R>) {
        let Some(request) = decode::<Q>(&message.subject, message.payload.clone()) else { return };
        let span = info_span!("serve", otel.kind = "server");
        propagation::continue_from_nats(&span, message.headers.as_ref());
        let answer = span.in_scope(|| handler(request));
        let bus = self.bus.clone();
        let work = async move {
            let answer = answer.await;
            bus.answer(message, answer).await;
            drop(slot);
        };
        self.tasks.spawn(work.instrument(span));
    }
}

impl Bus {
    /// Everything published on `subject` from now on.
    pub async fn subscribe<P: Message + Default>(&self, subject: &Subject<P>) -> Result<Subscription<P>, BusError> {
        let subscriber = self.client.subscribe(subject.as_str().to_owned()).await;
        let subscriber = subscriber.map_err(|_| BusError::Unavailable)?;
        Ok(Subscription { subscriber, payload: PhantomData })
    }

    /// Serves requests on a subject together with the other members of a group, at most `limit` at once, until the process
    /// stops; then it leaves the group and finishes what it has received.
    pub async fn serve<Q: Message + Default + 'static, R: Message + 'static>(
        &self,
        at: (&RequestSubject<Q, R>, &str),
        limit: usize,
        lifecycle: &Lifecycle,
        handler: impl Handler<Q, R>,
    ) -> Result<(), BusError> {
        let server = self.server(at, (Slots::new(limit), lifecycle.stopping().clone()), lifecycle).await?;
        lifecycle.spawn_essential("bus", server.run(handler));
        Ok(())
    }

    /// As [`serve`](Self::serve), but until the token is cancelled, and under a bound that other subjects share. Requests beyond it
    /// do not wait but are refused.
    ///
    /// A stop of the process waits for that.
    pub async fn serve_until<Q: Message + Default + 'static, R: Message + 'static>(
        &self,
        at: (&RequestSubject<Q, R>, &str),
        (slots, until): (&Slots, CancellationToken),
        lifecycle: &Lifecycle,
        (handler, refusal): (impl Handler<Q, R>, Refusal<Q, R>),
    ) -> Result<(), BusError> {
        let server = self.server(at, (slots.clone(), until), lifecycle).await?;
        lifecycle.spawn(Server { refusal: Some(refusal), ..server }.run(handler));
        Ok(())
    }

    async fn server<Q, R>(
        &self,
        (subject, group): (&RequestSubject<Q, R>, &str),
        (slots, until): (Slots, CancellationToken),
        lifecycle: &Lifecycle,
    ) -> Result<Server<Q, R>, BusError> {
        let subscriber = self.client.queue_subscribe(subject.as_str().to_owned(), group.to_owned()).await;
        let subscriber = subscriber.map_err(|_| BusError::Unavailable)?;
        Ok(Server { bus: self.clone(), subscriber, slots, refusal: None, until, tasks: lifecycle.clone() })
    }

    async fn answer<R: Message>(&self, request: NatsMessage, answer: Option<R>) {
        if let (Some(answer), Some(reply)) = (answer, request.reply) {
            self.answer_to(reply.as_str(), &answer).await;
        }
    }

    /// Answers a request that came by another connection, at the subject that it named for that.
    #[allow(clippy::disallowed_methods)]
    pub async fn answer_to<R: Message>(&self, reply: &str, answer: &R) {
        if self.client.publish(reply.to_owned(), answer.encode_to_vec().into()).await.is_err() {
            warn!("an answer could not be sent");
        }
    }
}

/// What came on a subject. A payload that cannot be decoded is nobody's fault but its sender's: it is logged, counted and
/// dropped alone.
pub fn decode<P: Message + Default>(subject: &str, payload: Bytes) -> Option<P> {
    P::decode(payload)
        .inspect_err(|error| {
            warn!(subject, %error, "an undecodable payload was dropped");
            UNDECODABLE.add(1, &[]);
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_ends_by_number_and_by_size_and_comes_back() {
        let slots = Slots::within(3, 10);
        let large = slots.try_take(8 * 1024).unwrap();
        let small = slots.try_take(1).unwrap();
        assert!(slots.try_take(1).is_none(), "by size");
        drop(large);
        let others: Vec<_> = [1, 1].into_iter().filter_map(|bytes| slots.try_take(bytes)).collect();
        assert_eq!(others.len(), 2);
        assert!(slots.try_take(1).is_none(), "by number");
        drop((small, others));
        assert!(slots.try_take(9 * 1024).is_some());
    }
}

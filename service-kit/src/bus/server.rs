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

/// How many requests are served at once, on all subjects that share it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Slots(Arc<Semaphore>);

impl Slots {
    /// Room for `limit` requests.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Semaphore::new(limit)))
    }

    async fn take(&self) -> Slot {
        // It is never closed.
        self.0.clone().acquire_owned().await.ok()
    }
}

/// Held while a request is served.
type Slot = Option<OwnedSemaphorePermit>;

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

/// One membership of a queue group.
struct Server {
    bus: Bus,
    subscriber: Subscriber,
    slots: Slots,
    until: CancellationToken,
    tasks: Lifecycle,
}

impl Server {
    /// Serves until told to end; then it leaves the group and takes what it has received.
    async fn run<Q: Message + Default + 'static, R: Message + 'static>(mut self, handler: impl Handler<Q, R>) {
        while let Some(message) = self.until.run_until_cancelled(self.subscriber.next()).await.flatten() {
            let slot = self.slots.take().await;
            self.begin(message, slot, &handler);
        }
        let left_at = Instant::now() + LEAVE_WITHIN;
        let _ = timeout_at(left_at, self.subscriber.drain()).await;
        while let Ok(Some(message)) = timeout_at(left_at, self.subscriber.next()).await {
            let slot = self.slots.take().await;
            self.begin(message, slot, &handler);
        }
    }

    fn begin<Q: Message + Default, R: Message + 'static>(
        &self,
        message: NatsMessage,
        slot: Slot,
        handler: &impl Handler<Q, R>,
    ) {
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

    /// As [`serve`](Self::serve), but until the token is cancelled, and under a bound that other subjects share.
    ///
    /// A stop of the process waits for that.
    pub async fn serve_until<Q: Message + Default + 'static, R: Message + 'static>(
        &self,
        at: (&RequestSubject<Q, R>, &str),
        (slots, until): (&Slots, CancellationToken),
        lifecycle: &Lifecycle,
        handler: impl Handler<Q, R>,
    ) -> Result<(), BusError> {
        let server = self.server(at, (slots.clone(), until), lifecycle).await?;
        lifecycle.spawn(server.run(handler));
        Ok(())
    }

    async fn server<Q, R>(
        &self,
        (subject, group): (&RequestSubject<Q, R>, &str),
        (slots, until): (Slots, CancellationToken),
        lifecycle: &Lifecycle,
    ) -> Result<Server, BusError> {
        let subscriber = self.client.queue_subscribe(subject.as_str().to_owned(), group.to_owned()).await;
        let subscriber = subscriber.map_err(|_| BusError::Unavailable)?;
        Ok(Server { bus: self.clone(), subscriber, slots, until, tasks: lifecycle.clone() })
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

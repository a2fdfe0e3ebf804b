//! Receiving: subscriptions of typed payloads, and requests served under a bound.

use std::{
    marker::PhantomData,
    sync::{Arc, LazyLock},
};

use async_nats::{Message as NatsMessage, Subscriber};
use futures_util::StreamExt;
use opentelemetry::{global, metrics::Counter};
use prost::Message;
use proto::subjects::{RequestSubject, Subject};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, info_span, warn};

use super::{Bus, BusError};
use crate::{Lifecycle, telemetry::propagation};

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
            if let Some(payload) = decode(&message) {
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
    async fn run<Q, R, H, F>(mut self, handler: H)
    where
        Q: Message + Default + 'static,
        R: Message + 'static,
        H: Fn(Q) -> F + Send + 'static,
        F: Future<Output = Option<R>> + Send + 'static,
    {
        let mut draining = false;
        loop {
            let message = tokio::select! {
                biased;
                () = self.until.cancelled(), if !draining => {
                    draining = true;
                    let _ = self.subscriber.drain().await;
                    continue;
                }
                message = self.subscriber.next() => message,
            };
            let Some(message) = message else { return };
            let Ok(slot) = self.slots.0.clone().acquire_owned().await else { return };
            let Some(request) = decode::<Q>(&message) else { continue };
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
}

impl Bus {
    /// Everything published on `subject` from now on.
    pub async fn subscribe<P: Message + Default>(&self, subject: &Subject<P>) -> Result<Subscription<P>, BusError> {
        let subscriber = self.client.subscribe(subject.as_str().to_owned()).await;
        let subscriber = subscriber.map_err(|_| BusError::Unavailable)?;
        Ok(Subscription { subscriber, payload: PhantomData })
    }

    /// Serves requests on `subject` together with the other members of `group`, at most `limit` at once, until the process
    /// stops; then it leaves the group and finishes what it has received.
    ///
    /// A handler that returns `None` leaves the request unanswered, as when its deadline has passed.
    pub async fn serve<Q, R, H, F>(
        &self,
        at: (&RequestSubject<Q, R>, &str),
        limit: usize,
        lifecycle: &Lifecycle,
        handler: H,
    ) -> Result<(), BusError>
    where
        Q: Message + Default + 'static,
        R: Message + 'static,
        H: Fn(Q) -> F + Send + 'static,
        F: Future<Output = Option<R>> + Send + 'static,
    {
        let server = self.server(at, (Slots::new(limit), lifecycle.stopping().clone()), lifecycle).await?;
        lifecycle.spawn_essential("bus", server.run(handler));
        Ok(())
    }

    /// As [`serve`](Self::serve), but until the token is cancelled, and under a bound that other subjects share.
    ///
    /// A stop of the process waits for that.
    pub async fn serve_until<Q, R, H, F>(
        &self,
        at: (&RequestSubject<Q, R>, &str),
        (slots, until): (&Slots, CancellationToken),
        lifecycle: &Lifecycle,
        handler: H,
    ) -> Result<(), BusError>
    where
        Q: Message + Default + 'static,
        R: Message + 'static,
        H: Fn(Q) -> F + Send + 'static,
        F: Future<Output = Option<R>> + Send + 'static,
    {
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

    #[allow(clippy::disallowed_methods)]
    async fn answer<R: Message>(&self, request: NatsMessage, answer: Option<R>) {
        if let (Some(answer), Some(reply)) = (answer, request.reply)
            && self.client.publish(reply, answer.encode_to_vec().into()).await.is_err()
        {
            warn!("an answer could not be sent");
        }
    }
}

/// A payload that cannot be decoded is nobody's fault but its sender's: it is dropped alone.
fn decode<P: Message + Default>(message: &NatsMessage) -> Option<P> {
    P::decode(message.payload.clone())
        .inspect_err(|error| {
            warn!(subject = %message.subject, %error, "an undecodable payload was dropped");
            UNDECODABLE.add(1, &[]);
        })
        .ok()
}

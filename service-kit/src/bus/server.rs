//! Receiving: subscriptions of typed payloads, and requests served under a bound.

use std::{marker::PhantomData, panic::AssertUnwindSafe, pin::pin, sync::LazyLock, time::Duration};

use async_nats::{Message as NatsMessage, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use opentelemetry::{global, metrics::Counter};
use prost::Message;
use proto::subjects::{RequestSubject, Subject};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, info_span, warn};

use super::{
    Bus, BusError,
    slots::{Slot, Slots},
};
use crate::{Lifecycle, lifecycle, telemetry::propagation};

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
}

impl<Q: Message + Default + 'static, R: Message + 'static> Server<Q, R> {
    /// Serves until told to end; then it leaves the group, takes what it has received, and ends what it has begun. All
    /// requests run on this one task: a task for each would be one more to wake on the way of a message.
    async fn run(mut self, handler: impl Handler<Q, R>) {
        // Nothing of the server or the handler is borrowed while it waits: they need not be shared between threads.
        let (bus, slots, waits) = (self.bus.clone(), self.slots.clone(), self.refusal.is_none());
        let (mut work, mut left_at) = (FuturesUnordered::new(), None);
        while let Some(message) = beside(&mut work, self.next(&mut left_at)).await {
            let slot = beside(&mut work, slots.room(message.payload.len(), waits)).await;
            match self.take(message, slot, &handler) {
                Some(Taken::Begun(begun)) => work.push(begun),
                Some(Taken::Refused(message, refusal)) => bus.answer(message, Some(refusal)).await,
                None => {}
            }
        }
        while work.next().await.is_some() {}
    }

    /// The next request; `left_at` is when nothing more is taken of a group that was left.
    async fn next(&mut self, left_at: &mut Option<Instant>) -> Option<NatsMessage> {
        if left_at.is_none() {
            if let Some(message) = self.until.run_until_cancelled(self.subscriber.next()).await.flatten() {
                return Some(message);
            }
            let until = *left_at.insert(Instant::now() + LEAVE_WITHIN);
            let _ = timeout_at(until, self.subscriber.drain()).await;
        }
        timeout_at((*left_at)?, self.subscriber.next()).await.ok().flatten()
    }

    /// Begins to serve a request for which there is room. Without room it is given back with its refusal, to be
    /// answered at once: what waited would wait in the buffer of the subscription, which nobody sees.
    fn take(
        &self,
        message: NatsMessage,
        slot: Option<Slot>,
        handler: &impl Handler<Q, R>,
    ) -> Option<Taken<R, impl Future<Output = ()> + Send + 'static>> {
        let request = decode::<Q>(&message.subject, message.payload.clone())?;
        match self.refusal {
            Some(refusal) if slot.is_none() => Some(Taken::Refused(message, refusal(&request))),
            _ => Some(Taken::Begun(self.begin((message, request), slot, handler))),
        }
    }

    fn begin(
        &self,
        (message, request): (NatsMessage, Q),
        slot: Option<Slot>,
        handler: &impl Handler<Q, R>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let span = info_span!("serve", otel.kind = "server");
        propagation::continue_from_nats(&span, message.headers.as_ref());
        let answer = span.in_scope(|| handler(request));
        let bus = self.bus.clone();
        let work = async move {
            let answer = answer.await;
            bus.answer(message, answer).await;
            drop(slot);
        };
        // A panic, which was logged where it happened, ends this request alone.
        AssertUnwindSafe(lifecycle::named(work.instrument(span))).catch_unwind().map(|_| ())
    }
}

/// A request that was received.
enum Taken<R, W> {
    /// It is served.
    Begun(W),
    /// It is to be answered with its refusal.
    Refused(NatsMessage, R),
}

/// Waits for something, and goes on with what was begun meanwhile.
async fn beside<T>(work: &mut FuturesUnordered<impl Future<Output = ()>>, waited: impl Future<Output = T>) -> T {
    let mut waited = pin!(waited);
    loop {
        tokio::select! {
            ready = &mut waited => return ready,
            Some(()) = work.next() => {}
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

    /// Serves requests on a subject together with the other members of a group, at most `limit` at once, until the
    /// process stops; then it leaves the group and finishes what it has received.
    pub async fn serve<Q: Message + Default + 'static, R: Message + 'static>(
        &self,
        at: (&RequestSubject<Q, R>, &str),
        limit: usize,
        lifecycle: &Lifecycle,
        handler: impl Handler<Q, R>,
    ) -> Result<(), BusError> {
        let server = self.server(at, (Slots::new(limit), lifecycle.stopping().clone())).await?;
        lifecycle.spawn_essential("bus", server.run(handler));
        Ok(())
    }

    /// As [`serve`](Self::serve), but until the token is cancelled, and under a bound that other subjects share.
    /// Requests beyond it do not wait but are refused.
    ///
    /// A stop of the process waits for that.
    pub async fn serve_until<Q: Message + Default + 'static, R: Message + 'static>(
        &self,
        at: (&RequestSubject<Q, R>, &str),
        (slots, until): (&Slots, CancellationToken),
        lifecycle: &Lifecycle,
        (handler, refusal): (impl Handler<Q, R>, Refusal<Q, R>),
    ) -> Result<(), BusError> {
        let server = self.server(at, (slots.clone(), until)).await?;
        lifecycle.spawn(Server { refusal: Some(refusal), ..server }.run(handler));
        Ok(())
    }

    async fn server<Q, R>(
        &self,
        (subject, group): (&RequestSubject<Q, R>, &str),
        (slots, until): (Slots, CancellationToken),
    ) -> Result<Server<Q, R>, BusError> {
        let subscriber = self.client.queue_subscribe(subject.as_str().to_owned(), group.to_owned()).await;
        let subscriber = subscriber.map_err(|_| BusError::Unavailable)?;
        Ok(Server { bus: self.clone(), subscriber, slots, refusal: None, until })
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

/// What came on a subject. A payload that cannot be decoded is nobody's fault but its sender's: it is logged, counted
/// and dropped alone.
pub fn decode<P: Message + Default>(subject: &str, payload: Bytes) -> Option<P> {
    P::decode(payload)
        .inspect_err(|error| {
            warn!(subject, %error, "an undecodable payload was dropped");
            UNDECODABLE.add(1, &[]);
        })
        .ok()
}

//! Receiving: subscriptions of typed payloads, and requests served under a bound.

use std::{marker::PhantomData, sync::Arc};

use async_nats::{Message as NatsMessage, Subscriber};
use futures_util::StreamExt;
use prost::Message;
use proto::subjects::{RequestSubject, Subject};
use tokio::sync::Semaphore;
use tracing::{Instrument, Span, info_span, warn};

use super::{Bus, BusError};
use crate::{Lifecycle, telemetry::propagation};

/// Payloads of one subject, in the order in which the server sent them.
#[derive(Debug)]
pub struct Subscription<P> {
    subscriber: Subscriber,
    payload: PhantomData<fn() -> P>,
}

impl<P: Message + Default> Subscription<P> {
    /// The next payload, with a span that continues its trace; `None` when the subscription ended.
    ///
    /// What cannot be decoded is logged and left out.
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
        (subject, group): (&RequestSubject<Q, R>, &str),
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
        let subscriber = self.client.queue_subscribe(subject.as_str().to_owned(), group.to_owned()).await;
        let mut subscriber = subscriber.map_err(|_| BusError::Unavailable)?;
        let (bus, tasks) = (self.clone(), lifecycle.clone());
        lifecycle.spawn_essential("bus", async move {
            let slots = Arc::new(Semaphore::new(limit));
            let mut draining = false;
            loop {
                let message = tokio::select! {
                    biased;
                    () = tasks.stopping().cancelled(), if !draining => {
                        draining = true;
                        let _ = subscriber.drain().await;
                        continue;
                    }
                    message = subscriber.next() => message,
                };
                let Some(message) = message else { return };
                let Ok(slot) = slots.clone().acquire_owned().await else {
                    return;
                };
                let Some(request) = decode::<Q>(&message) else {
                    continue;
                };
                let span = info_span!("serve", otel.kind = "server");
                propagation::continue_from_nats(&span, message.headers.as_ref());
                let answer = span.in_scope(|| handler(request));
                let bus = bus.clone();
                tasks.spawn(
                    async move {
                        let answer = answer.await;
                        bus.answer(message, answer).await;
                        drop(slot);
                    }
                    .instrument(span),
                );
            }
        });
        Ok(())
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

fn decode<P: Message + Default>(message: &NatsMessage) -> Option<P> {
    P::decode(message.payload.clone())
        .inspect_err(|error| warn!(subject = %message.subject, %error, "an undecodable payload was dropped"))
        .ok()
}

//! JetStream: hears of commits, has them counted and only then acknowledges. All replicas share one durable consumer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_nats::jetstream::{
    AckKind, Message,
    consumer::{AckPolicy, Consumer, DeliverPolicy, pull},
    context::{ConsumerInfoError, ConsumerInfoErrorKind},
};
use futures_util::{FutureExt, StreamExt};
use prost::Message as _;
use proto::{
    chat::MessagesCommitted,
    streams::{self, MILESTONE_CONSUMER},
};
use service_kit::{Lifecycle, bus::Bus, health::Condition, outage::Outage, telemetry::propagation};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tracing::{Instrument, info, info_span, warn};

use crate::{
    counter::Counter,
    metrics::{BatchOutcome, Metrics},
};

/// A message whose replica died, or that was lost with a NATS server, is delivered again after this.
const ACK_WAIT: Duration = Duration::from_secs(5);
/// Work that takes longer is given up before the server gives it to another replica.
const WORK_TIMEOUT: Duration = Duration::from_secs(4);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(30);
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(250);
const REOPEN_DELAY: Duration = Duration::from_millis(500);
/// No more are pulled than are worked on: the time in which they must be acknowledged runs from their delivery.
const MESSAGES_AT_ONCE: usize = 16;
const PULL_EXPIRES: Duration = Duration::from_secs(2);
/// A server that hangs, or the next leader, does not know of a pull: it is given up a moment after it should have
/// ended.
const PULL_LOST_AFTER: Duration = Duration::from_secs(3);

/// Commits that are heard of and counted until the process stops.
#[derive(Debug)]
pub struct CommitConsumer {
    bus: Bus,
    counter: Arc<Counter>,
    metrics: Metrics,
    lifecycle: Lifecycle,
    opened: Condition,
    slots: Arc<Semaphore>,
    recount_due: bool,
}

enum Interruption {
    Stopping,
    /// The connection was lost and came back, or the pull failed: stream and consumer may be gone.
    Reopen,
}

impl CommitConsumer {
    /// `opened` tells whether stream and consumer are there.
    pub fn new(bus: Bus, counter: Arc<Counter>, metrics: Metrics, lifecycle: &Lifecycle, opened: Condition) -> Self {
        let slots = Arc::new(Semaphore::new(MESSAGES_AT_ONCE));
        Self { bus, counter, metrics, lifecycle: lifecycle.clone(), opened, slots, recount_due: false }
    }

    /// Consumes until the process stops. Stream and consumer are made when they are missing, also later.
    pub async fn run(mut self) {
        let stopping = self.lifecycle.stopping().clone();
        let mut disturbances = self.bus.disturbances();
        let outage = Outage::default();
        loop {
            disturbances.borrow_and_update();
            let opened = tokio::select! {
                () = stopping.cancelled() => return,
                opened = self.open() => opened,
            };
            self.opened.set(opened.is_ok());
            match opened {
                Ok(consumer) => {
                    if outage.ends() {
                        info!("the stream of commits is there");
                    }
                    match self.consume(&consumer, &mut disturbances).await {
                        Interruption::Stopping => return,
                        Interruption::Reopen => {}
                    }
                }
                Err(error) if outage.begins() => {
                    warn!(error = format!("{error:#}"), "waiting for the stream of commits");
                }
                Err(_) => {}
            }
            let _ = timeout(REOPEN_DELAY, stopping.cancelled()).await;
        }
    }

    async fn open(&mut self) -> anyhow::Result<Consumer<pull::Config>> {
        let stream = self.bus.ensure_stream(&streams::chat_events(self.bus.subjects())).await?;
        let consumer = match stream.get_consumer(MILESTONE_CONSUMER).await {
            Ok(consumer) => consumer,
            Err(error) if is_missing(&error) => {
                // A new consumer most likely means a new stream: commits of before may never have been counted.
                self.recount_due = true;
                stream.create_consumer(consumer_config()).await?
            }
            Err(error) => anyhow::bail!("no consumer {MILESTONE_CONSUMER}: {error}"),
        };
        if self.recount_due {
            self.counter.recount().await?;
            self.recount_due = false;
        }
        Ok(consumer)
    }

    async fn consume(
        &self,
        consumer: &Consumer<pull::Config>,
        disturbances: &mut tokio::sync::watch::Receiver<u64>,
    ) -> Interruption {
        let stopping = self.lifecycle.stopping();
        loop {
            let pull = consumer.batch().max_messages(MESSAGES_AT_ONCE).expires(PULL_EXPIRES).messages();
            let Ok(mut batch) = pull.await else { return Interruption::Reopen };
            loop {
                let next = async {
                    let slot = self.slots.clone().acquire_owned().await;
                    (timeout(PULL_LOST_AFTER, batch.next()).await.unwrap_or(None), slot)
                };
                let interruption = tokio::select! {
                    biased;
                    () = stopping.cancelled() => Interruption::Stopping,
                    _ = disturbances.changed() => Interruption::Reopen,
                    next = next => match next {
                        (Some(Ok(message)), Ok(slot)) => {
                            self.work_on(message, slot);
                            continue;
                        }
                        (None, _) => break,
                        _ => Interruption::Reopen,
                    },
                };
                hand_back(&mut batch).await;
                return interruption;
            }
        }
    }

    fn work_on(&self, message: Message, slot: OwnedSemaphorePermit) {
        let span = info_span!("count", otel.kind = "consumer");
        propagation::continue_from_nats(&span, message.headers.as_ref());
        let (counter, metrics) = (self.counter.clone(), self.metrics.clone());
        let work = async move {
            let started = Instant::now();
            let (outcome, ack) = count(&counter, &message).await;
            metrics.batch(outcome, started.elapsed());
            if let Err(error) = message.ack_with(ack).await {
                warn!(%error, "cannot acknowledge; it will be delivered again");
            }
            drop(slot);
        };
        self.lifecycle.spawn(work.instrument(span));
    }
}

/// Whether the stream has no such consumer; any other error says nothing of it.
fn is_missing(error: &async_nats::Error) -> bool {
    let error = error.downcast_ref::<ConsumerInfoError>();
    error.is_some_and(|error| error.kind() == ConsumerInfoErrorKind::NotFound)
}

fn consumer_config() -> pull::Config {
    pull::Config {
        durable_name: Some(MILESTONE_CONSUMER.to_owned()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_deliver: -1,
        ..pull::Config::default()
    }
}

async fn count(counter: &Counter, message: &Message) -> (BatchOutcome, AckKind) {
    let committed = match MessagesCommitted::decode(message.payload.clone()) {
        Ok(committed) => committed,
        Err(error) => {
            warn!(%error, "an undecodable message was dropped");
            return (BatchOutcome::Dropped, AckKind::Term);
        }
    };
    let error = match timeout(WORK_TIMEOUT, counter.count(&committed.heads)).await {
        Ok(Ok(())) => return (BatchOutcome::Counted, AckKind::Ack),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it took too long".to_owned(),
    };
    let delivery = message.info().map_or(1, |info| info.delivered);
    let delay = retry_delay(delivery);
    warn!(error, delivery, delay_ms = delay.as_millis(), "not counted; it will be delivered again");
    (BatchOutcome::Retried, AckKind::Nak(Some(delay)))
}

/// How long to wait after the given delivery, counted from 1, has failed.
fn retry_delay(delivery: i64) -> Duration {
    let exponent = u32::try_from(delivery.saturating_sub(1).clamp(0, 16)).unwrap_or(0);
    FIRST_RETRY_DELAY.saturating_mul(2_u32.saturating_pow(exponent)).min(MAX_RETRY_DELAY)
}

/// What was pulled and not begun goes to another replica at once.
async fn hand_back(batch: &mut pull::Batch) {
    while let Some(Some(Ok(message))) = batch.next().now_or_never() {
        if message.ack_with(AckKind::Nak(None)).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_slow_down_to_a_bound() {
        assert_eq!(retry_delay(1), FIRST_RETRY_DELAY);
        assert_eq!(retry_delay(2), FIRST_RETRY_DELAY * 2);
        assert_eq!(retry_delay(i64::MAX), MAX_RETRY_DELAY);
        assert_eq!(retry_delay(-1), FIRST_RETRY_DELAY);
    }
}

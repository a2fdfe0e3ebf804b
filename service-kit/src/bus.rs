//! NATS, typed: a payload goes only where its subject says, and carries the trace.

mod connection;
mod server;
mod slots;
mod stream;

pub use server::{Handler, Refusal, Subscription, decode};
pub use slots::Slots;

use std::{sync::Arc, time::Duration};

use async_nats::{RequestErrorKind, connection::State};
use bytes::Bytes;
use prost::Message;
use proto::subjects::{RequestSubject, Subject, Subjects};
use thiserror::Error;
use tokio::{
    sync::{Mutex, watch},
    time::timeout,
};

use crate::{config::NatsConfig, health::Condition, telemetry::propagation};

/// How long a publish may wait for room in the client's buffer, as while the servers are away.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(2);
/// A server that does not answer by then, after a request timed out, hangs.
const SUSPICION_TIMEOUT: Duration = Duration::from_millis(500);

/// A connection to NATS with the subjects of one stack. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bus {
    client: Arc<async_nats::Client>,
    /// Made once: each context runs a task of its own.
    jetstream: async_nats::jetstream::Context,
    subjects: Subjects,
    connected: Condition,
    disturbances: watch::Receiver<u64>,
    losses: watch::Receiver<u64>,
    /// Held while the server is asked whether it hangs: one question is enough.
    suspicion: Arc<Mutex<()>>,
}

/// Why something could not be published or requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BusError {
    /// Nobody serves the subject.
    #[error("nobody serves the subject")]
    NoResponders,
    /// No answer came in time: whether the request was carried out is unknown.
    #[error("no answer in time")]
    TimedOut,
    /// The connection is closed or was lost, or its buffer stayed full: whether a request was carried out is unknown.
    #[error("the connection to NATS is not available")]
    Unavailable,
    /// The answer is not what the subject promises.
    #[error("the answer cannot be decoded")]
    Undecodable,
}

impl Bus {
    /// Connects to the cluster. While no server can be reached it waits and says so; later it reconnects for ever.
    ///
    /// `connected` tells whether the connection stands.
    pub async fn connect(config: &NatsConfig, name: &str, connected: Condition) -> anyhow::Result<Self> {
        let opened = connection::open(config, name, connected.clone()).await?;
        let connection::Opened { client, disturbances, losses } = opened;
        let jetstream = async_nats::jetstream::new(async_nats::Client::clone(&client));
        let subjects = Subjects::new(config.prefix.clone());
        Ok(Self { client, jetstream, subjects, connected, disturbances, losses, suspicion: Arc::default() })
    }

    /// The subjects of this stack.
    pub fn subjects(&self) -> &Subjects {
        &self.subjects
    }

    /// Whether the connection stands. While it does not, what is published waits, and may come long after it was meant
    /// to.
    pub fn is_connected(&self) -> bool {
        self.connected.holds()
    }

    /// Changes whenever messages may have been missed: after a reconnect, or when a subscription overflowed.
    pub fn disturbances(&self) -> watch::Receiver<u64> {
        self.disturbances.clone()
    }

    /// JetStream on this connection. Publish through [`publish_durably`](Self::publish_durably).
    pub fn jetstream(&self) -> async_nats::jetstream::Context {
        self.jetstream.clone()
    }

    /// Publishes at most once: nobody may be listening.
    pub async fn publish<P: Message>(&self, subject: &Subject<P>, payload: &P) -> Result<(), BusError> {
        self.publish_encoded(subject, payload.encode_to_vec().into()).await
    }

    /// As [`publish`](Self::publish), with a payload that was encoded before, to be published on several subjects.
    #[allow(clippy::disallowed_methods)]
    pub async fn publish_encoded<P>(&self, subject: &Subject<P>, payload: Bytes) -> Result<(), BusError> {
        let name = subject.as_str().to_owned();
        let sent = async {
            match propagation::nats_headers() {
                Some(headers) => self.client.publish_with_headers(name, headers, payload).await,
                None => self.client.publish(name, payload).await,
            }
        };
        timeout(PUBLISH_TIMEOUT, sent).await.map_err(|_| BusError::Unavailable)?.map_err(|_| BusError::Unavailable)
    }

    /// Waits until the server has taken everything this connection has published and subscribed so far.
    ///
    /// The client's own flush only empties its write buffer. The server handles one connection's commands in order, so
    /// its "no responders" to a request that nobody serves proves that it got that far.
    pub async fn flush(&self) -> Result<(), BusError> {
        self.flush_within(PUBLISH_TIMEOUT).await
    }

    async fn flush_within(&self, patience: Duration) -> Result<(), BusError> {
        let nobody = format!("{}flush", self.subjects.prefix());
        let request = async_nats::Request::new().timeout(Some(patience));
        match timeout(patience, self.client.send_request(nobody, request)).await {
            Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => Ok(()),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) if error.kind() == RequestErrorKind::TimedOut => Err(BusError::TimedOut),
            Ok(Err(_)) => Err(BusError::Unavailable),
            Err(_) => Err(BusError::TimedOut),
        }
    }

    /// Publishes to a stream and waits until it is stored.
    #[allow(clippy::disallowed_methods)]
    pub async fn publish_durably<P: Message>(&self, subject: &Subject<P>, payload: &P) -> Result<(), BusError> {
        let headers = propagation::nats_headers().unwrap_or_default();
        let stored = async {
            let name = subject.as_str().to_owned();
            let ack = self.jetstream.publish_with_headers(name, headers, payload.encode_to_vec().into()).await;
            ack.map_err(|_| BusError::Unavailable)?.await.map_err(|_| BusError::Unavailable)
        };
        timeout(PUBLISH_TIMEOUT, stored).await.map_err(|_| BusError::TimedOut)?.map(|_| ())
    }

    /// Asks whoever serves the subject and waits for the answer at most `patience`.
    pub async fn request<Q: Message, R: Message + Default>(
        &self,
        subject: &RequestSubject<Q, R>,
        request: &Q,
        patience: Duration,
    ) -> Result<R, BusError> {
        let mut outgoing = async_nats::Request::new().payload(request.encode_to_vec().into()).timeout(Some(patience));
        if let Some(headers) = propagation::nats_headers() {
            outgoing = outgoing.headers(headers);
        }
        // The answer to what was under way when the connection was lost went to nobody.
        let mut losses = self.losses.clone();
        losses.mark_unchanged();
        let answered = tokio::select! {
            answered = timeout(patience, self.client.send_request(subject.as_str().to_owned(), outgoing)) => answered,
            _ = losses.changed() => return Err(BusError::Unavailable),
        };
        let reply = match answered {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) => return Err(self.request_failed(error.kind()).await),
            Err(_) => return Err(self.request_failed(RequestErrorKind::TimedOut).await),
        };
        R::decode(reply.payload).map_err(|_| BusError::Undecodable)
    }

    async fn request_failed(&self, kind: RequestErrorKind) -> BusError {
        match kind {
            RequestErrorKind::NoResponders => BusError::NoResponders,
            RequestErrorKind::TimedOut => {
                self.suspect_server().await;
                BusError::TimedOut
            }
            _ => BusError::Unavailable,
        }
    }

    /// Whoever was asked is silent, or the server hangs: the client itself would notice that only at the third
    /// unanswered ping.
    async fn suspect_server(&self) {
        let Ok(_only) = self.suspicion.try_lock() else { return };
        if self.client.connection_state() == State::Connected
            && self.flush_within(SUSPICION_TIMEOUT).await == Err(BusError::TimedOut)
        {
            tracing::warn!("NATS is silent; reconnecting");
            connection::reconnect(&self.client).await;
        }
    }
}

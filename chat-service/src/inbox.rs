//! What the members of a match hear on their inboxes.

use futures_util::FutureExt;
use prost::Message;
use proto::{
    UserId,
    inbox::{ChatEvent, PresenceAnnounced, SharingChanged, chat_event::Event, presence_announced::What},
};
use service_kit::bus::{Bus, BusError};
use tokio::task::unconstrained;
use tracing::warn;

use crate::{metrics::Metrics, shared::Shared};

/// Publishes to inboxes.
#[derive(Debug, Clone)]
pub(crate) struct Inbox {
    bus: Bus,
    metrics: Metrics,
}

impl Inbox {
    pub(crate) fn new(shared: &Shared) -> Self {
        Self { bus: shared.bus.clone(), metrics: shared.metrics.clone() }
    }

    /// Whether NATS would take it now.
    pub(crate) fn is_connected(&self) -> bool {
        self.bus.is_connected()
    }

    /// Tells all members. Nobody may be listening, and an error is counted; [`flush`](Self::flush) makes sure.
    pub(crate) async fn publish(&self, members: &[UserId], event: Event) -> Result<(), BusError> {
        let payload = prost::bytes::Bytes::from(ChatEvent { event: Some(event) }.encode_to_vec());
        let mut published = Ok(());
        for member in members {
            let sent = self.bus.publish_encoded(&self.bus.subjects().chat_inbox(member), payload.clone()).await;
            if let Err(error) = sent {
                warn!(user = %member, %error, "an inbox could not be told");
                self.metrics.publish_failed("inbox");
                published = sent;
            }
        }
        published
    }

    /// The same without a wait: while NATS is away for so long that nothing more is kept for it, nobody is told.
    pub(crate) fn publish_at_once(&self, members: &[UserId], event: Event) -> Result<(), BusError> {
        // However much one task publishes: tokio would have it pause after 128 steps.
        let published = unconstrained(self.publish(members, event)).now_or_never();
        published.unwrap_or_else(|| {
            self.metrics.publish_failed("inbox");
            Err(BusError::Unavailable)
        })
    }

    /// Has the gateways look again at what a user shares and sees: those where the user is connected, and those where
    /// somebody watches whether the user is online.
    pub(crate) async fn tell_sharing(&self, user: &UserId) -> Result<(), BusError> {
        self.publish(std::slice::from_ref(user), Event::SharingChanged(SharingChanged {})).await?;
        let changed = PresenceAnnounced { what: What::SharingChanged.into() };
        self.bus.publish(&self.bus.subjects().presence(user), &changed).await?;
        self.flush().await
    }

    /// Waits until NATS has taken what was published.
    pub(crate) async fn flush(&self) -> Result<(), BusError> {
        self.bus.flush().await
    }
}

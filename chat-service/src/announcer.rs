//! Announces recorded milestones: the one who records at once, whoever polls what a crash left over.

use std::time::Duration;

use proto::{
    MatchId,
    inbox::{MilestoneReached, inbox_event::Event},
};
use service_kit::{Lifecycle, outage::Outage};
use tokio::time::{sleep, timeout};
use tracing::{Instrument, info, info_span, warn};

use crate::{
    inbox::Inbox,
    store::{Announced, Store, StoreError},
};

const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// How many a poll claims at once.
const CLAIM_LIMIT: i64 = 50;
/// A claim holds locks, so telling must not take long.
const TELL_TIMEOUT: Duration = Duration::from_secs(3);

/// Tells both members of milestones that are recorded and not yet announced.
#[derive(Debug, Clone)]
pub(crate) struct Announcer {
    store: Store,
    inbox: Inbox,
}

impl Announcer {
    pub(crate) fn new(store: Store, inbox: Inbox) -> Self {
        Self { store, inbox }
    }

    /// Announces what is left over, every two seconds, until the process stops.
    pub(crate) async fn poll(self, lifecycle: Lifecycle) {
        let stopping = lifecycle.stopping().clone();
        let outage = Outage::default();
        loop {
            match self.announce(None).await {
                Ok(()) if outage.ends() => info!("milestones to announce are looked for again"),
                Err(error) if outage.begins() => warn!(%error, "cannot look for milestones to announce"),
                Ok(()) | Err(_) => {}
            }
            tokio::select! {
                () = stopping.cancelled() => return,
                () = sleep(POLL_INTERVAL) => {}
            }
        }
    }

    /// Announces what is recorded and unannounced, of one match or of all. What another replica is telling is left to it;
    /// what cannot be told stays for the next poll.
    pub(crate) async fn announce(&self, only: Option<&MatchId>) -> Result<(), StoreError> {
        // It would wait, and be told a second time when the connection is back: another replica's poll tells it now.
        if !self.inbox.is_connected() {
            return Ok(());
        }
        let claim = self.store.claim_unannounced(only, CLAIM_LIMIT).await?;
        let told = claim.milestones().is_empty() || {
            let span = info_span!("announce", milestones = claim.milestones().len(), otel.kind = "producer");
            self.tell(claim.milestones()).instrument(span).await
        };
        if told {
            claim.settle().await?;
        }
        Ok(())
    }

    /// Whether NATS has taken all of it.
    async fn tell(&self, milestones: &[Announced]) -> bool {
        let told = timeout(TELL_TIMEOUT, async {
            for reached in milestones {
                let milestone = Some(reached.milestone.clone());
                let event = MilestoneReached { match_id: reached.match_id.as_str().to_owned(), milestone };
                self.inbox.publish(&reached.members, Event::MilestoneReached(event)).await?;
                info!(r#match = %reached.match_id, milestone = reached.milestone.milestone_id, "a milestone is announced");
            }
            self.inbox.flush().await
        });
        matches!(told.await, Ok(Ok(())))
    }
}

//! Announces recorded milestones: the replica that records one at once, the owner of the match what a crash left over.
//!
//! No connection to PostgreSQL is held meanwhile: NATS may take its time, and reads share the few connections that
//! there are.

use std::{collections::HashSet, sync::Arc, time::Duration};

use proto::{
    MatchId,
    inbox::{MilestoneReached, inbox_event::Event},
    partition,
};
use service_kit::{Lifecycle, outage::Outage};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};
use tracing::{Instrument, info, info_span, warn};

use crate::{
    inbox::Inbox,
    posted::Posted,
    store::{Announced, Store, StoreError},
};

const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// How many a poll looks at.
const POLL_LIMIT: i64 = 50;
/// How many announcements may wait for NATS at once; more are left to the poll.
const ANNOUNCING_AT_ONCE: usize = 16;
/// What NATS has not taken by then is left to the poll.
const TELL_TIMEOUT: Duration = Duration::from_secs(3);

/// Tells both members of milestones that are recorded and not yet announced.
#[derive(Debug, Clone)]
pub(crate) struct Announcer {
    store: Store,
    inbox: Inbox,
    posted: Posted,
    slots: Arc<Semaphore>,
}

/// A milestone by its match and its id.
type Name = (MatchId, String);

impl Announcer {
    pub(crate) fn new(store: Store, inbox: Inbox, posted: Posted) -> Self {
        Self { store, inbox, posted, slots: Arc::new(Semaphore::new(ANNOUNCING_AT_ONCE)) }
    }

    /// Announces what is left over, every two seconds, until the process stops.
    pub(crate) async fn poll(self, lifecycle: Lifecycle) {
        let stopping = lifecycle.stopping().clone();
        let (mut seen, outage) = (HashSet::new(), Outage::default());
        loop {
            match self.announce_left(&seen).await {
                Ok(left) => {
                    seen = left;
                    if outage.ends() {
                        info!("milestones to announce are looked for again");
                    }
                }
                Err(error) if outage.begins() => warn!(%error, "cannot look for milestones to announce"),
                Err(_) => {}
            }
            tokio::select! {
                () = stopping.cancelled() => return,
                () = sleep(POLL_INTERVAL) => {}
            }
        }
    }

    /// Announces a milestone that was just recorded. What cannot be told now stays for the poll.
    pub(crate) async fn announce(&self, recorded: &Announced) -> Result<(), StoreError> {
        match self.slots.try_acquire() {
            Ok(_slot) => self.announce_all(&[recorded]).await,
            Err(_) => Ok(()),
        }
    }

    /// Announces what was left over at the last look already, of the matches that this replica owns: what is new is
    /// being announced by whoever has recorded it. Returns what it sees now.
    async fn announce_left(&self, seen: &HashSet<Name>) -> Result<HashSet<Name>, StoreError> {
        let left = self.store.unannounced(POLL_LIMIT).await?;
        let owned = self.posted.owned();
        let is_due = |left: &&Announced| owned.contains(&partition::of(&left.match_id)) && seen.contains(&name(left));
        let due: Vec<&Announced> = left.iter().filter(is_due).collect();
        self.announce_all(&due).await?;
        Ok(left.iter().map(name).collect())
    }

    async fn announce_all(&self, milestones: &[&Announced]) -> Result<(), StoreError> {
        // Without NATS it would wait, and be told a second time when the connection is back: the next owner tells it.
        if milestones.is_empty() || !self.inbox.is_connected() {
            return Ok(());
        }
        let span = info_span!("announce", milestones = milestones.len(), otel.kind = "producer");
        if self.tell(milestones).instrument(span).await {
            self.store.mark_announced(milestones).await?;
        }
        Ok(())
    }

    /// Whether NATS has taken all of it.
    async fn tell(&self, milestones: &[&Announced]) -> bool {
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

fn name(milestone: &Announced) -> Name {
    (milestone.match_id.clone(), milestone.milestone.milestone_id.clone())
}

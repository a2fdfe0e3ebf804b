//! Notes which milestones were announced, and announces those that were left over, as by a replica that has crashed.
//!
//! The lanes tell the members of a milestone as soon as it is committed. It counts as announced when NATS has taken
//! that. Whatever is not noted as announced is told again: by the replica that owns the match, at its next look.

use std::time::Duration;

use proto::inbox::{MilestoneReached, chat_event::Event};
use service_kit::outage::Outage;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tracing::{Instrument, info, info_span, warn};

use crate::{
    inbox::Inbox,
    leftovers::{Leftovers, MilestoneName},
    posted::Posted,
    shared::Shared,
    store::{Store, StoreError, Unannounced},
};

const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// How many a poll looks at.
const POLL_LIMIT: i64 = 50;
/// Milestones that are told and may wait to be noted; more are left to the poll.
const MAX_TOLD: usize = 1_024;
/// A milestone that NATS has not taken by then is announced by the poll.
const TELL_TIMEOUT: Duration = Duration::from_secs(3);

/// Where the lanes say which milestones they have told the members of.
#[derive(Debug, Clone)]
pub(crate) struct Told(mpsc::Sender<MilestoneName>);

impl Told {
    /// The members were told of a milestone. Never waits.
    pub(crate) fn note(&self, name: MilestoneName) {
        // A milestone for which there is no room is announced once more by the poll.
        let _ = self.0.try_send(name);
    }
}

/// Sees to it that every milestone comes to be announced.
#[derive(Debug)]
pub(crate) struct Announcer {
    store: Store,
    inbox: Inbox,
    posted: Posted,
    told: mpsc::Receiver<MilestoneName>,
}

impl Announcer {
    /// The announcer, and where it is told what the lanes do.
    pub(crate) fn new(shared: &Shared) -> (Self, Told) {
        let (sender, told) = mpsc::channel(MAX_TOLD);
        let announcer =
            Self { store: shared.store.clone(), inbox: Inbox::new(shared), posted: shared.posted.clone(), told };
        (announcer, Told(sender))
    }

    /// Works until the lanes have ended.
    pub(crate) async fn run(mut self) {
        let (mut leftovers, outage) = (Leftovers::default(), Outage::default());
        let (mut told, mut poll_at) = (Vec::new(), Instant::now());
        loop {
            let done = tokio::select! {
                count = self.told.recv_many(&mut told, MAX_TOLD) => {
                    if count == 0 {
                        return;
                    }
                    self.note_as_announced(std::mem::take(&mut told)).await
                }
                () = sleep_until(poll_at) => {
                    poll_at = Instant::now() + POLL_INTERVAL;
                    self.announce_left(&mut leftovers).await
                }
            };
            match done {
                Ok(()) if outage.ends() => info!("milestones are noted as announced again"),
                Err(error) if outage.begins() => warn!(%error, "milestones cannot be noted as announced"),
                _ => {}
            }
        }
    }

    /// Notes what the lanes have told, once NATS has taken it.
    async fn note_as_announced(&self, told: Vec<MilestoneName>) -> Result<(), StoreError> {
        match timeout(TELL_TIMEOUT, self.inbox.flush()).await {
            Ok(Ok(())) => self.store.mark_announced(&told).await,
            _ => Ok(()),
        }
    }

    /// Announces what was left over.
    async fn announce_left(&self, leftovers: &mut Leftovers) -> Result<(), StoreError> {
        let unannounced = self.store.unannounced(POLL_LIMIT).await?;
        let due = leftovers.due(unannounced, &self.posted.owned(), Unannounced::name);
        // Without NATS it would wait, and be told a second time when the connection is back: the next owner tells it.
        if due.is_empty() || !self.inbox.is_connected() {
            return Ok(());
        }
        let names = due.iter().map(Unannounced::name).collect();
        let span = info_span!("announce", milestones = due.len(), otel.kind = "producer");
        match timeout(TELL_TIMEOUT, self.tell(due).instrument(span)).await {
            Ok(true) => self.note_as_announced(names).await,
            _ => Ok(()),
        }
    }

    /// Whether all of it was published.
    async fn tell(&self, left: Vec<Unannounced>) -> bool {
        for Unannounced { match_id, members, milestone } in left {
            info!(r#match = %match_id, milestone = milestone.milestone_id, "a left milestone is announced");
            let event = MilestoneReached { match_id: match_id.into(), milestone: Some(milestone) };
            if self.inbox.publish(&members, Event::MilestoneReached(event)).await.is_err() {
                return false;
            }
        }
        true
    }
}

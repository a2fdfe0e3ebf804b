//! Erases users, in the background: match by match, in steps that take a moment each.
//!
//! All that is known of an erasure stands in PostgreSQL. A replica takes on the one that is due first, and holds it by
//! a lease that each step renews. If the replica dies, another one goes on where it was. Every step can be made twice
//! without harm, as by a replica that was frozen and finds itself replaced.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use proto::{MatchId, UserId};
use service_kit::{Lifecycle, grpc, outage::Outage};
use thiserror::Error;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::{
    audiences::Audiences,
    command::{ChangeMembers, CloseMatch, Command},
    lane::Entrance,
    metrics::Metrics,
    outcome::Refusal,
    shared::Shared,
    store::{ErasureMatch, Left, Parting, Store, StoreError},
};

/// How often it is looked for what is due.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// For how long a replica may be silent before another one takes over. Longer than any step takes.
const LEASE: Duration = Duration::from_secs(10);
/// The pause between two steps, so that messages have the database to themselves for most of the time.
const PAUSE: Duration = Duration::from_millis(20);
/// When an erasure that has failed is tried again, and the longest time until then: it doubles with each failure.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(5));
/// How long a command may wait for a lane.
const PATIENCE: Duration = grpc::CALL_TIMEOUT;

/// Why an erasure does not go on now.
#[derive(Debug, Error)]
enum Trouble {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a match cannot be left: {0}")]
    Lane(#[from] Refusal),
}

/// What erases.
#[derive(Debug)]
pub(crate) struct Erasures {
    store: Store,
    audiences: Audiences,
    lanes: Entrance,
    metrics: Metrics,
}

impl Erasures {
    pub(crate) fn new(shared: &Shared, lanes: Entrance) -> Self {
        let (store, audiences) = (shared.store.clone(), shared.audiences.clone());
        Self { store, audiences, lanes, metrics: shared.metrics.clone() }
    }

    /// Erases what is due, until the process stops.
    pub(crate) async fn run(self, lifecycle: Lifecycle) {
        let (stopping, outage) = (lifecycle.stopping().clone(), Outage::default());
        let work = async {
            loop {
                match self.look().await {
                    Ok(true) => continue,
                    Ok(false) if outage.ends() => info!("users can be erased again"),
                    Err(error) if outage.begins() => warn!(%error, "it is not known who is to be erased"),
                    _ => {}
                }
                sleep(POLL_INTERVAL).await;
            }
        };
        stopping.run_until_cancelled(work).await;
    }

    /// Erases who is due first. False when nobody is.
    async fn look(&self) -> Result<bool, StoreError> {
        self.metrics.erasures_left(self.store.erasures_left().await?);
        let Some(user) = self.store.take_erasure(LEASE).await? else { return Ok(false) };
        match self.erase(&user).await {
            Ok(()) => {
                self.metrics.erased("finished");
                info!(%user, "erased");
            }
            Err(error) => {
                self.metrics.erased("failed");
                warn!(%user, %error, "the erasure is tried again later");
                self.store.postpone_erasure(&user, RETRY).await?;
            }
        }
        Ok(true)
    }

    async fn erase(&self, user: &UserId) -> Result<(), Trouble> {
        loop {
            while let Some(left) = self.store.next_erasure_match(user).await? {
                let of = (user, &left.match_id);
                match left.part {
                    Left::Part => self.part(user, &left).await?,
                    Left::Messages(done, through) => self.store.erase_messages(of, (done, through), LEASE).await?,
                    Left::Rest => self.store.erase_rest(of, LEASE).await?,
                }
                sleep(PAUSE).await;
            }
            if self.store.finish_erasure(user).await? {
                return Ok(());
            }
            sleep(PAUSE).await;
        }
    }

    /// Ends the user's part in a match. A match of two is closed, and its members hear of it as of an unmatch: once
    /// more if a replica may have died before it could tell them. In a larger one, and in a group that has another
    /// member, the user is a member no more.
    async fn part(&self, user: &UserId, left: &ErasureMatch) -> Result<(), Trouble> {
        let match_id = left.match_id.clone();
        match left.parting {
            Parting::Leave => {
                let (add, remove) = (BTreeSet::new(), BTreeSet::from([user.clone()]));
                self.commit(ChangeMembers { match_id, add, remove, actor: None, expected_rev: None }).await?;
            }
            Parting::Close => self.commit(CloseMatch { match_id }).await?,
            Parting::Done => {}
        }
        Ok(self.store.note_parted(user, &left.match_id).await?)
    }

    async fn commit(&self, command: impl Command + 'static) -> Result<(), Trouble> {
        let id: MatchId = command.match_id().clone();
        let audience = self.audiences.all(&id).await?.ok_or(Refusal::NoMatch)?;
        let outcome = self.lanes.commit(command, audience, Instant::now() + PATIENCE).await;
        outcome.map_err(|_| Refusal::Unavailable)?.into_change()?;
        Ok(())
    }
}

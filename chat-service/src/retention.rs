//! Forgets what has lost its use: revocations of tokens that have all expired, bodies of messages that were edited or
//! deleted long ago, old reports, the receipts of old erasures, and whom users have added to groups.

use std::time::Duration;

use service_kit::Lifecycle;
use tokio::time::sleep;
use tracing::{debug, info};

use crate::store::{Store, StoreError};

/// How often it is looked for what can be forgotten.
const INTERVAL: Duration = Duration::from_hours(1);
/// The same after a failure.
const INTERVAL_FAILED: Duration = Duration::from_mins(1);
/// For how long it is kept whom users have added to groups: longer than the day over which that is counted.
const INVITATIONS: Duration = Duration::from_hours(48);
/// Rows of one statement, so that none takes long.
const BATCH: i64 = 1_000;
/// The pause between two statements, so that messages have the database to themselves for most of the time.
const PAUSE: Duration = Duration::from_millis(100);

/// For how long what is kept.
#[derive(Debug)]
pub(crate) struct Retention {
    pub(crate) store: Store,
    pub(crate) revocations: Duration,
    pub(crate) versions: Duration,
    pub(crate) reports: Duration,
    pub(crate) erasures: Duration,
}

impl Retention {
    /// Forgets, until the process stops.
    pub(crate) async fn run(self, lifecycle: Lifecycle) {
        let stopping = lifecycle.stopping().clone();
        let work = async {
            loop {
                let pause = match self.forget().await {
                    Ok(()) => INTERVAL,
                    Err(error) => {
                        debug!(%error, "nothing can be forgotten now");
                        INTERVAL_FAILED
                    }
                };
                sleep(pause).await;
            }
        };
        stopping.run_until_cancelled(work).await;
    }

    async fn forget(&self) -> Result<(), StoreError> {
        let revocations = in_batches(|| self.store.forget_revocations(self.revocations, BATCH)).await?;
        let versions = in_batches(|| self.store.forget_versions(self.versions, BATCH)).await?;
        let reports = in_batches(|| self.store.forget_reports(self.reports, BATCH)).await?;
        let erasures = in_batches(|| self.store.forget_erasures(self.erasures, BATCH)).await?;
        let invitations = in_batches(|| self.store.forget_invitations(INVITATIONS, BATCH)).await?;
        if revocations + versions + reports + erasures + invitations > 0 {
            info!(revocations, versions, reports, erasures, invitations, "forgotten");
        }
        Ok(())
    }
}

/// Forgets batch by batch. Returns how many rows that were.
async fn in_batches<F: Future<Output = Result<u64, StoreError>>>(batch: impl Fn() -> F) -> Result<u64, StoreError> {
    let mut count = 0;
    loop {
        let forgotten = batch().await?;
        count += forgotten;
        if forgotten == 0 {
            return Ok(count);
        }
        sleep(PAUSE).await;
    }
}

//! Forgets what has lost its use: revocations of tokens that have all expired.

use std::time::Duration;

use service_kit::Lifecycle;
use tokio::time::sleep;
use tracing::{debug, info};

use crate::store::{Store, StoreError};

/// How often it is looked for what can be forgotten.
const INTERVAL: Duration = Duration::from_hours(1);
/// The same after a failure.
const INTERVAL_FAILED: Duration = Duration::from_mins(1);
/// Rows of one statement, so that none takes long.
const BATCH: i64 = 1_000;
/// The pause between two statements, so that messages have the database to themselves for most of the time.
const PAUSE: Duration = Duration::from_millis(100);

/// Forgets revocations after `kept`, until the process stops.
pub(crate) async fn run(store: Store, kept: Duration, lifecycle: Lifecycle) {
    let stopping = lifecycle.stopping().clone();
    let work = async {
        loop {
            let pause = match forget(&store, kept).await {
                Ok(0) => INTERVAL,
                Ok(count) => {
                    info!(count, "expired revocations are forgotten");
                    INTERVAL
                }
                Err(error) => {
                    debug!(%error, "revocations cannot be forgotten now");
                    INTERVAL_FAILED
                }
            };
            sleep(pause).await;
        }
    };
    stopping.run_until_cancelled(work).await;
}

async fn forget(store: &Store, kept: Duration) -> Result<u64, StoreError> {
    let mut count = 0;
    loop {
        let forgotten = store.forget_revocations(kept, BATCH).await?;
        count += forgotten;
        if forgotten == 0 {
            return Ok(count);
        }
        sleep(PAUSE).await;
    }
}

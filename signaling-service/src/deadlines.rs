//! Time: every replica looks for calls that have something due, and takes on those that no other has taken.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use service_kit::Lifecycle;
use tokio::time::{MissedTickBehavior, interval};

use crate::switchboard::Switchboard;

/// How late a time-out may be.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
const CLAIMED_AT_ONCE: usize = 100;
const CONCURRENT_TICKS: usize = 16;

/// Does what is due until the process stops.
pub async fn run(switchboard: Arc<Switchboard>, lifecycle: Lifecycle) {
    let mut polls = interval(POLL_INTERVAL);
    polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = lifecycle.stopping().cancelled() => return,
            _ = polls.tick() => while poll(&switchboard).await {},
        }
    }
}

/// Whether there may be more at once.
async fn poll(switchboard: &Switchboard) -> bool {
    let due = match switchboard.claim_due(CLAIMED_AT_ONCE).await {
        Ok(due) => due,
        Err(failure) => {
            tracing::debug!(%failure, "cannot look for what is due");
            return false;
        }
    };
    let more = due.len() == CLAIMED_AT_ONCE;
    let ticks = stream::iter(&due).for_each_concurrent(CONCURRENT_TICKS, async |call| {
        if let Err(failure) = switchboard.tick(call).await {
            tracing::warn!(call_id = %call.call_id, %failure, "what was due is left for later");
        }
    });
    ticks.await;
    more
}

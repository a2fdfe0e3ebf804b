//! Ends the calls of matches that were closed, or that a party has left. The replicas take turns.
//!
//! Both are announced to the members' inboxes only, and hearing all inboxes would cost far more than asking
//! chat-service once a second about the few matches in which somebody calls.

use std::{sync::Arc, time::Duration};

use proto::MatchId;
use service_kit::Lifecycle;
use tokio::time::{MissedTickBehavior, interval};

use crate::{failure::Failure, switchboard::Switchboard};

/// How long a call may outlive its match, or the membership of a party.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Looks for closed matches until the process stops.
pub async fn run(switchboard: Arc<Switchboard>, lifecycle: Lifecycle) {
    let mut sweeps = interval(SWEEP_INTERVAL);
    sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = lifecycle.stopping().cancelled() => return,
            _ = sweeps.tick() => if let Err(failure) = sweep(&switchboard).await {
                tracing::debug!(%failure, "cannot look for closed matches");
            },
        }
    }
}

async fn sweep(switchboard: &Switchboard) -> Result<(), Failure> {
    let Some(calls) = switchboard.sweep_turn().await? else {
        return Ok(());
    };
    let matches: Vec<MatchId> = calls.into_iter().map(|call| call.match_id).collect();
    if matches.is_empty() { Ok(()) } else { switchboard.close_forbidden(&matches).await }
}

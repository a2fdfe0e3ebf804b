//! What happens to all sockets now and then: heads are compared, expired tokens close their transports, a restore of
//! the database is noticed, a stop is announced.

use std::{collections::HashMap, ops::RangeInclusive, sync::Arc, time::Duration};

use proto::{MatchId, partition::fnv1a};
use service_kit::clock;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::{context::Context, shell, users::User};

/// Each user's heads are compared once in so many ticks of a second.
const SLICES: u64 = 20;
/// Most match ids in one request.
const HEADS: usize = 1_000;
/// After a disturbance the subscriptions need a moment to stand again, and not all gateways should ask at once.
const DISTURBANCE_PAUSE_MS: RangeInclusive<u64> = 100..=400;

/// Compares heads, and watches tokens and the database's epoch, until the process stops.
pub async fn sweep(context: Arc<Context>) {
    // Each on its own: a token expires in time also while chat-service takes its time.
    tokio::join!(sweep_heads(&context), sweep_tokens(&context), watch_epoch(&context));
}

/// Tells all clients that their transports will be closed within this time.
pub fn drain(context: &Arc<Context>, window: Duration) {
    for user in context.users.parts().flatten() {
        shell::step(context, &user, |core, step| core.drained(window, step));
    }
}

async fn sweep_heads(context: &Arc<Context>) {
    let mut disturbances = context.inboxes.disturbances();
    let mut ticks = every_second();
    let mut tick = 0;
    loop {
        tokio::select! {
            () = context.lifecycle.stopping().cancelled() => return,
            _ = ticks.tick() => {
                tick += 1;
                compare_heads(context, |user| fnv1a(user.id.as_str().as_bytes()) % SLICES == tick % SLICES).await;
            }
            Ok(()) = disturbances.changed() => {
                tokio::time::sleep(Duration::from_millis(fastrand::u64(DISTURBANCE_PAUSE_MS))).await;
                if !compare_heads(context, |_| true).await {
                    // What was lost with it must not wait for the next round.
                    disturbances.mark_changed();
                }
            }
        }
    }
}

async fn sweep_tokens(context: &Arc<Context>) {
    let mut ticks = every_second();
    let mut watched_until_s = clock::unix_ms() / 1_000;
    loop {
        tokio::select! {
            () = context.lifecycle.stopping().cancelled() => return,
            _ = ticks.tick() => {
                let now_s = clock::unix_ms() / 1_000;
                let seconds = watched_until_s..now_s;
                for user in context.users.parts().flatten() {
                    shell::step(context, &user, |core, step| core.watch_tokens(&seconds, step));
                }
                watched_until_s = now_s;
            }
        }
    }
}

/// After a restore all sockets are made to start anew that have chats open.
async fn watch_epoch(context: &Arc<Context>) {
    let mut epochs = context.revocations.epochs();
    loop {
        tokio::select! {
            () = context.lifecycle.stopping().cancelled() => return,
            Ok(()) = epochs.changed() => {
                let Some(epoch) = *epochs.borrow_and_update() else { continue };
                for user in context.users.parts().flatten() {
                    shell::step(context, &user, |core, step| core.database_is_of(epoch, step));
                }
            }
        }
    }
}

fn every_second() -> Interval {
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Reads how far the chats have come that these users have open, and tells the users' cores. False if some heads could
/// not be read now.
async fn compare_heads(context: &Arc<Context>, is_due: impl Fn(&User) -> bool) -> bool {
    let mut users: HashMap<MatchId, Vec<Arc<User>>> = HashMap::new();
    for user in context.users.parts().flatten().filter(|user| is_due(user)) {
        let open = user.state().core.open_chats();
        for chat in open {
            users.entry(chat).or_default().push(Arc::clone(&user));
        }
    }
    let ids: Vec<MatchId> = users.keys().cloned().collect();
    for ids in ids.chunks(HEADS) {
        let ids = ids.iter().map(ToString::to_string).collect();
        let Ok(heads) = context.services.heads(ids).await else { return false };
        for head in heads {
            for user in users.get(head.match_id.as_str()).into_iter().flatten() {
                shell::step(context, user, |core, step| core.head(&head, step));
            }
        }
    }
    true
}

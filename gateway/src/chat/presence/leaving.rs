//! What others are told of the users who are here: once that one has come, and once that one has gone for a while.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use proto::{
    UserId,
    inbox::{PresenceAnnounced, presence_announced::What},
    partition::fnv1a,
};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, MissedTickBehavior, interval},
};
use tracing::debug;

use super::asking::{self, Asked, is_here};
use crate::{
    chat::{
        context::Context,
        users::{Stay, User},
    },
    metrics,
};

/// How often it is looked for who has gone, in a grace.
const LOOKS: u32 = 30;
/// A user who stays is noted as seen once in this time, so that a gateway that dies leaves no old date behind.
const LONG_STAY: Duration = Duration::from_hours(6);

/// A user has a socket in use here, or has none any more. Called while the user is locked.
pub(in crate::chat) fn note(context: &Arc<Context>, user: &Arc<User>, is_active: bool) {
    if is_active {
        // What was kept is dropped when the table of users is not locked.
        let was_leaving = context.presence.leaving().came(&user.id);
        if was_leaving.is_none() {
            context.services.note_seen(&user.id);
            announce(context, &user.id, What::Came);
        }
    } else if !context.lifecycle.stopping().is_cancelled() {
        let stay = context.users.enter(user.id.clone());
        context.presence.leaving().went(user.id.clone(), stay, Instant::now().into_std());
    }
}

/// One publish, whoever watches.
fn announce(context: &Arc<Context>, user: &UserId, what: What) {
    metrics::presence_announced(if what == What::Came { "came" } else { "went" });
    let (bus, user) = (context.services.bus.clone(), user.clone());
    let mut told = Box::pin(async move {
        let announced = PresenceAnnounced { what: what.into() };
        if let Err(error) = bus.publish(&bus.subjects().presence(&user), &announced).await {
            // Who watches the user asks again.
            debug!(%error, "a presence was not announced");
        }
    });
    if told.as_mut().now_or_never().is_none() {
        context.lifecycle.spawn(told);
    }
}

/// Tells who has gone, until the process stops: its users go to other gateways then, and nobody hears of it.
pub(in crate::chat) async fn tell_gone(context: &Arc<Context>) {
    let mut disturbances = context.inboxes.disturbances();
    let mut ticks = interval((context.presence.grace / LOOKS).max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = context.lifecycle.stopping().cancelled() => return,
            // The other gateways' subscriptions may not stand yet either.
            Ok(()) = disturbances.changed() => context.presence.leaving().wait_anew(Instant::now().into_std()),
            _ = ticks.tick() => take_due(context).await,
        }
    }
}

async fn take_due(context: &Arc<Context>) {
    loop {
        let due = context.presence.leaving().take_due(Instant::now().into_std());
        let Some((user, stay)) = due else { return };
        // It is never closed.
        let Ok(permit) = Arc::clone(&context.presence.asked).acquire_owned().await else { return };
        context.lifecycle.spawn(Box::pin(leave(Arc::clone(context), (user, stay), permit)));
    }
}

/// A user has been gone from here for the whole grace, and may be elsewhere. A gateway that cannot ask says nothing.
async fn leave(context: Arc<Context>, (user, stay): (UserId, Stay), permit: OwnedSemaphorePermit) {
    if is_here(&context, &user) {
        return;
    }
    match asking::ask_all(&context, &user).await {
        Asked::Here => {}
        Asked::Nowhere => {
            context.services.note_seen(&user);
            announce(&context, &user, What::Went);
        }
        Asked::Unanswered => context.presence.leaving().went(user, stay, Instant::now().into_std()),
    }
    drop(permit);
}

/// Notes those as seen who stay for long, each in its turn.
pub(in crate::chat) async fn note_long_stays(context: &Arc<Context>) {
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut turn = 0;
    loop {
        tokio::select! {
            () = context.lifecycle.stopping().cancelled() => return,
            _ = ticks.tick() => {
                turn = (turn + 1) % LONG_STAY.as_secs();
                let is_due = |user: &&Arc<User>| fnv1a(user.id.as_str().as_bytes()) % LONG_STAY.as_secs() == turn;
                for user in context.users.parts().flatten().collect::<Vec<_>>().iter().filter(is_due) {
                    if user.state().core.is_active() {
                        context.services.note_seen(&user.id);
                    }
                }
            }
        }
    }
}

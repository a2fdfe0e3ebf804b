//! Who is watched is asked for again, once in each grace, spread over it: a gateway that dies tells of nobody.

use std::{sync::Arc, time::Duration};

use gateway_core::presence_changed::Interest;
use proto::UserId;
use tokio::time::{MissedTickBehavior, interval};

use crate::chat::{context::Context, presence, presences::SHARDS};

/// Asks for the users of one part of the table after the other, until the process stops.
pub(super) async fn run(context: &Arc<Context>) {
    let parts = u32::try_from(SHARDS).unwrap_or(1);
    let mut ticks = interval((context.presence.grace / parts).max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for part in (0..SHARDS).cycle() {
        tokio::select! {
            () = context.lifecycle.stopping().cancelled() => return,
            _ = ticks.tick() => {}
        }
        for of in context.presence.watched.users(part) {
            if interest(context, &of) == Interest::Shown {
                ask(context, of, false).await;
            }
        }
    }
}

/// Asks for those who are said to have gone, until the process stops.
pub(super) async fn ask_gone(context: &Arc<Context>) {
    let stopping = context.lifecycle.stopping();
    while let Some(users) = stopping.run_until_cancelled(context.presence.gone.take()).await {
        for of in users {
            ask(context, of, true).await;
        }
    }
}

/// Begins to ask for a user once few enough questions are under way.
async fn ask(context: &Arc<Context>, of: UserId, went: bool) {
    // It is never closed.
    let Ok(permit) = Arc::clone(&context.presence.asked).acquire_owned().await else { return };
    let context = Arc::clone(context);
    context.lifecycle.clone().spawn(async move {
        presence::ask(&context, &of, went).await;
        drop(permit);
    });
}

/// What all watchers have to do with the user. Those who have nothing to do with that one any more are forgotten, each
/// while its core is locked, so that it does not watch anew meanwhile.
fn interest(context: &Arc<Context>, of: &UserId) -> Interest {
    let table = &context.presence.watched;
    let mut most = Interest::None;
    for watcher in table.watchers(of) {
        let state = watcher.state();
        let interest = state.core.interest(of);
        if interest == Interest::None {
            table.unwatch(of, &watcher);
        }
        most = most.max(interest);
    }
    if !table.tidy(of) && table.is_to_be_judged(of) {
        context.presence.to_judge.add(of);
    }
    most
}

//! What watchers are told of a user.

use std::sync::Arc;

use tokio::task::yield_now;

use crate::{
    chat::{context::Context, shell},
    metrics,
};

/// Tells all watchers of users of whom there is news, as it is known when each is told: so what is told last is true.
pub(super) async fn tell(context: &Arc<Context>) {
    let stopping = context.lifecycle.stopping();
    while let Some(news) = stopping.run_until_cancelled(context.presence.news.take()).await {
        for of in news {
            let online = context.presence.watched.online(&of);
            online.into_iter().for_each(metrics::presence_news);
            for watcher in context.presence.watched.watchers(&of) {
                shell::step(context, &watcher, |core, step| {
                    if let Some(is_online) = context.presence.watched.online(&of) {
                        core.presence(&of, is_online, step);
                    }
                });
                yield_now().await;
            }
        }
    }
}

/// Has the watchers ask again whether they may see a user who shares something else than before.
pub(super) async fn judge_again(context: &Arc<Context>) {
    let stopping = context.lifecycle.stopping();
    while let Some(users) = stopping.run_until_cancelled(context.presence.to_judge.take()).await {
        for of in users {
            for watcher in context.presence.watched.watchers(&of) {
                shell::step(context, &watcher, |core, step| core.shared_otherwise(&of, step));
                yield_now().await;
            }
        }
    }
}

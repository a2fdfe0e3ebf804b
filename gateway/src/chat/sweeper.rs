//! What happens to all sockets now and then: heads are compared, expired tokens close their transports.

use std::{
    collections::HashMap,
    ops::{Range, RangeInclusive},
    sync::Arc,
    time::Duration,
};

use proto::{MatchId, client::event, partition::fnv1a};
use service_kit::clock;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::{Context, Socket, healing, users::User};
use crate::{socketio::Packet, views};

/// Each user's heads are compared once in so many ticks of a second.
const SLICES: u64 = 20;
/// Most match ids in one request.
const HEADS: usize = 1_000;
/// How long before its token expires a client is told.
pub(super) const EXPIRY_NOTICE_S: i64 = 60;
/// After a disturbance the subscriptions need a moment to stand again, and not all gateways should ask at once.
const DISTURBANCE_PAUSE_MS: RangeInclusive<u64> = 100..=400;

/// Compares heads and watches tokens until the process stops.
pub async fn sweep(context: Arc<Context>) {
    // Each on its own: a token expires in time also while chat-service takes its time.
    tokio::join!(sweep_heads(&context), sweep_tokens(&context));
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

async fn sweep_tokens(context: &Context) {
    let mut ticks = every_second();
    let mut watched_until_s = clock::unix_ms() / 1_000;
    loop {
        tokio::select! {
            () = context.lifecycle.stopping().cancelled() => return,
            _ = ticks.tick() => {
                let now_s = clock::unix_ms() / 1_000;
                watch_tokens(context, &(watched_until_s..now_s));
                watched_until_s = now_s;
            }
        }
    }
}

fn every_second() -> Interval {
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// False if some heads could not be read now.
async fn compare_heads(context: &Arc<Context>, is_due: impl Fn(&User) -> bool) -> bool {
    let mut sockets: HashMap<MatchId, Vec<Arc<Socket>>> = HashMap::new();
    for user in context.users.parts().flatten().filter(|user| is_due(user)) {
        for socket in user.sockets() {
            let open: Vec<MatchId> = socket.session().open_chats().map(|chat| chat.id.clone()).collect();
            for chat in open {
                sockets.entry(chat).or_default().push(Arc::clone(&socket));
            }
        }
    }
    let ids: Vec<MatchId> = sockets.keys().cloned().collect();
    for ids in ids.chunks(HEADS) {
        let ids = ids.iter().map(ToString::to_string).collect();
        let Ok(heads) = context.services.heads(ids).await else { return false };
        for head in heads {
            let Ok(chat) = MatchId::new(head.match_id.as_str()) else { continue };
            healing::compare(context, sockets.get(&chat).map_or(&[], Vec::as_slice), &head, &chat).await;
        }
    }
    true
}

/// Closes what has expired, and gives notice to what comes within a minute of its expiry in these seconds.
fn watch_tokens(context: &Context, seconds: &Range<i64>) {
    for socket in context.users.parts().flatten().flat_map(|user| user.sockets()) {
        let expires_at_s = socket.token().expires_at_s;
        if expires_at_s <= seconds.end {
            socket.emitter.disconnect_transport();
        } else if seconds.contains(&(expires_at_s - EXPIRY_NOTICE_S)) {
            give_notice(&socket);
        }
    }
}

/// Tells the client that its token is about to expire.
pub(super) fn give_notice(socket: &Socket) {
    let notice = serde_json::json!({ "expiresAt": clock::rfc3339(socket.token().expires_at_s * 1_000) });
    let _ = socket.emitter.send(&Packet::event(event::TOKEN_EXPIRING, &views::to_json(&notice)));
}

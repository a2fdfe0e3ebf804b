//! What is heard on `presence.<userId>`.

use std::sync::Arc;

use prost::Message as _;
use proto::{
    UserId,
    inbox::{PresenceAnnounced, presence_announced::What},
};
use tracing::warn;

use crate::{chat::context::Context, inboxes::Message, metrics};

/// Takes an announcement. That somebody has gone is asked before it is told: that one may be back already.
pub(in crate::chat) fn hear(context: &Arc<Context>, message: &Message<'_>) {
    let named = context.inboxes.presence_named(message.subject).and_then(|of| UserId::new(of).ok());
    let Some(of) = named else { return };
    let announced = match PresenceAnnounced::decode(message.payload) {
        Ok(announced) => announced,
        Err(error) => {
            warn!(subject = message.subject, %error, "an undecodable event was dropped");
            return metrics::inbox_event_undecodable();
        }
    };
    match announced.what() {
        What::Came => {
            if context.presence.watched.with(&of, |entry| entry.watched.is_here()) == Some(true) {
                context.presence.news.add(&of);
            }
        }
        What::Went if is_watched(context, &of) => context.presence.gone.add(&of),
        What::SharingChanged if is_watched(context, &of) => context.presence.to_judge.add(&of),
        // About a user whom nobody watches there is nothing to ask. What is unspecified is of a newer version.
        What::Went | What::SharingChanged | What::Unspecified => {}
    }
}

fn is_watched(context: &Context, of: &UserId) -> bool {
    context.presence.watched.with(of, |_| ()).is_some()
}

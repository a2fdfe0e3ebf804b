//! Who was seen, on the way to chat-service: many users together, at most once a second.

use std::time::Duration;

use proto::{
    UserId,
    chat::{NoteSeenRequest, chat_service_client::ChatServiceClient},
};
use service_kit::{Lifecycle, grpc::Client};
use tokio::{sync::mpsc, time::sleep};
use tracing::debug;

use super::asking::ask;

/// Users who may wait for a call. More are not noted: they were seen a little earlier then.
const MAX_WAITING: usize = 16_384;
/// Most users of one call.
const BATCH: usize = 1_000;
/// The least time between two calls, unless so many wait.
const PAUSE: Duration = Duration::from_secs(1);

/// The way to the task that calls. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Seen(mpsc::Sender<UserId>);

impl Seen {
    pub(super) fn start(chat: ChatServiceClient<Client>, lifecycle: &Lifecycle) -> Self {
        let (seen, waiting) = mpsc::channel(MAX_WAITING);
        lifecycle.spawn_background(run(waiting, chat));
        Self(seen)
    }

    /// A user is here now, or was so until now.
    pub(super) fn note(&self, user: &UserId) {
        // Without room it is not noted.
        let _ = self.0.try_send(user.clone());
    }
}

async fn run(mut waiting: mpsc::Receiver<UserId>, chat: ChatServiceClient<Client>) {
    let mut batch = Vec::new();
    while waiting.recv_many(&mut batch, BATCH).await > 0 {
        let is_full = batch.len() == BATCH;
        let request = NoteSeenRequest { user_ids: batch.drain(..).map(String::from).collect() };
        if let Err(failure) = ask(async || chat.clone().note_seen(request.clone()).await).await {
            debug!(?failure, "it was not noted who was seen");
        }
        if !is_full {
            sleep(PAUSE).await;
        }
    }
}

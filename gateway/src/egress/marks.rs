//! How far users have read and received, on the way to chat-service: marks of many users go together.

use std::sync::Arc;

use proto::{
    Code,
    chat::{Mark, MarkRequest, MarkResult, Position, chat_service_client::ChatServiceClient, mark_result},
};
use service_kit::{Lifecycle, grpc::Client};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::asking::ask;
use crate::failure::Failure;

/// Marks that may wait for a call.
const MAX_WAITING: usize = 16_384;
/// Most marks of one call.
const BATCH: usize = 1_000;
/// Calls that are under way at once. What comes meanwhile goes together in the next.
const CALLS: usize = 4;

type Waiting = (Mark, oneshot::Sender<Result<MarkResult, Failure>>);

/// The way to the task that calls. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Marks(mpsc::Sender<Waiting>);

impl Marks {
    pub(super) fn start(chat: ChatServiceClient<Client>, lifecycle: &Lifecycle) -> Self {
        let (marks, waiting) = mpsc::channel(MAX_WAITING);
        lifecycle.spawn_background(run(waiting, chat, lifecycle.clone()));
        Self(marks)
    }

    /// Has a mark noted. Returns where the member stands after it.
    pub(super) async fn take(&self, mark: Mark) -> Result<Position, Failure> {
        let (answer, result) = oneshot::channel();
        self.0.try_send((mark, answer)).map_err(|_| Failure::unavailable())?;
        match result.await.map_err(|_| Failure::unavailable())??.result.ok_or(Code::Internal)? {
            mark_result::Result::Position(position) => Ok(position),
            mark_result::Result::Failure(failure) => Err(failure.into()),
        }
    }
}

async fn run(mut waiting: mpsc::Receiver<Waiting>, chat: ChatServiceClient<Client>, lifecycle: Lifecycle) {
    let calls = Arc::new(Semaphore::new(CALLS));
    let mut batch = Vec::new();
    while waiting.recv_many(&mut batch, 1).await > 0 {
        // It is never closed.
        let Ok(call) = Arc::clone(&calls).acquire_owned().await else { return };
        while batch.len() < BATCH
            && let Ok(next) = waiting.try_recv()
        {
            batch.push(next);
        }
        let (marks, answers): (Vec<Mark>, Vec<_>) = batch.drain(..).unzip();
        let chat = chat.clone();
        lifecycle.spawn(async move {
            let request = MarkRequest { marks };
            let marked = ask(async || chat.clone().mark(request.clone()).await).await;
            let mut results = marked.map(|marked| marked.results.into_iter());
            for answer in answers {
                let result = results.as_mut().map_err(|failure| failure.clone());
                let result = result.and_then(|results| results.next().ok_or_else(|| Code::Internal.into()));
                // Who has stopped waiting needs no answer.
                let _ = answer.send(result);
            }
            drop(call);
        });
    }
}

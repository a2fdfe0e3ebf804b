//! How far users have read and received, on the way to chat-service: marks of many users go together.

use std::{sync::Arc, time::Duration};

use proto::{
    Code,
    chat::{
        Mark, MarkRequest, MarkResponse, MarkResult, Position, chat_service_client::ChatServiceClient, mark_result,
    },
};
use service_kit::{Lifecycle, grpc::Client};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::sleep,
};

use super::asking::ask;
use crate::failure::Failure;

/// Marks that may wait for a call.
const MAX_WAITING: usize = 16_384;
/// Most marks of one call.
const BATCH: usize = 1_000;
/// How long a mark waits for others that go with it.
const GATHER: Duration = Duration::from_millis(25);
/// Calls that are under way at once. A call is answered when the slowest of its marks is: chat-service stores the
/// position of a member once a second. So there are more than begin in a second, and nobody waits for another's marks.
const CALLS: usize = 64;

type Waiting = (Mark, oneshot::Sender<Result<MarkResult, Failure>>);

/// The way to the task that calls. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Marks(mpsc::Sender<Waiting>);

impl Marks {
    pub(super) fn start(chat: ChatServiceClient<Client>, lifecycle: &Lifecycle) -> Self {
        let (marks, waiting) = mpsc::channel(MAX_WAITING);
        let call = move |request: MarkRequest| {
            let chat = chat.clone();
            async move { ask(async || chat.clone().mark(request.clone()).await).await }
        };
        lifecycle.spawn_background(run(waiting, call, lifecycle.clone()));
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

/// Has what waits noted by `call`, which answers each mark of a call in its place.
async fn run<F: Future<Output = Result<MarkResponse, Failure>> + Send + 'static>(
    mut waiting: mpsc::Receiver<Waiting>,
    call: impl Fn(MarkRequest) -> F,
    lifecycle: Lifecycle,
) {
    let calls = Arc::new(Semaphore::new(CALLS));
    let mut batch = Vec::new();
    while waiting.recv_many(&mut batch, 1).await > 0 {
        sleep(GATHER).await;
        // It is never closed.
        let Ok(open) = Arc::clone(&calls).acquire_owned().await else { return };
        while batch.len() < BATCH
            && let Ok(next) = waiting.try_recv()
        {
            batch.push(next);
        }
        let (marks, answers): (Vec<Mark>, Vec<_>) = batch.drain(..).unzip();
        let marked = call(MarkRequest { marks });
        lifecycle.spawn(async move {
            answer(answers, marked.await);
            drop(open);
        });
    }
}

fn answer(answers: Vec<oneshot::Sender<Result<MarkResult, Failure>>>, marked: Result<MarkResponse, Failure>) {
    let mut results = marked.map(|marked| marked.results.into_iter());
    for answer in answers {
        let result = results.as_mut().map_err(|failure| failure.clone());
        let result = result.and_then(|results| results.next().ok_or_else(|| Code::Internal.into()));
        // Who has stopped waiting needs no answer.
        let _ = answer.send(result);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    /// The way to calls that are made by `call`.
    fn marks<F: Future<Output = Result<MarkResponse, Failure>> + Send + 'static>(
        call: impl Fn(MarkRequest) -> F + Send + 'static,
    ) -> Marks {
        let (lifecycle, (marks, waiting)) = (Lifecycle::new(), mpsc::channel(MAX_WAITING));
        lifecycle.spawn_background(run(waiting, call, lifecycle.clone()));
        Marks(marks)
    }

    fn mark(user: &str) -> Mark {
        Mark { match_id: "m".into(), user_id: user.into(), ..Mark::default() }
    }

    fn at(request: &MarkRequest) -> MarkResponse {
        let position = |mark: &Mark| Position { user_id: mark.user_id.clone(), ..Position::default() };
        let result = |mark| MarkResult { result: Some(mark_result::Result::Position(position(mark))) };
        MarkResponse { results: request.marks.iter().map(result).collect() }
    }

    #[tokio::test(start_paused = true)]
    async fn marks_that_are_held_up_hold_up_no_others() {
        let marks = marks(|request| async move {
            if request.marks.iter().any(|mark| mark.user_id == "slow") { pending().await } else { Ok(at(&request)) }
        });
        let mut held = Vec::new();
        for _ in 0..10 {
            let (marks, mut waiting) = (marks.clone(), tokio::task::JoinSet::new());
            waiting.spawn(async move { marks.take(mark("slow")).await });
            held.push(waiting);
            tokio::time::sleep(2 * GATHER).await;
        }
        assert_eq!(marks.take(mark("quick")).await.unwrap().user_id, "quick");
        assert!(held.iter_mut().all(|waiting| waiting.try_join_next().is_none()));
    }

    #[tokio::test(start_paused = true)]
    async fn marks_of_a_moment_go_together_and_each_has_its_own_answer() {
        let calls = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let marks = marks(move |request| {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            async move { Ok(at(&request)) }
        });
        let users: Vec<String> = (0..50).map(|number| format!("u{number}")).collect();
        let taken = futures_util::future::join_all(users.iter().map(|user| marks.take(mark(user)))).await;
        let taken: Vec<String> = taken.into_iter().map(|position| position.unwrap().user_id).collect();
        assert_eq!((taken, calls.load(std::sync::atomic::Ordering::Relaxed)), (users, 1));
    }
}

//! How far users have come, gathered: marks that arrive within a moment are stored together, and those of one member in
//! one match at most once a second.

mod gathering;
mod telling;

use std::time::Duration;

use proto::{
    chat::Position,
    inbox::{ReceiptUpdated, ReceiptsUpdated, chat_event::Event},
};
use service_kit::Lifecycle;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};
use tracing::warn;

use crate::{
    inbox::Inbox,
    mark::Mark,
    shared::Shared,
    store::{Marked, Store, StoreError},
};
use gathering::Gathering;
use telling::Telling;

/// Marks that may wait to be gathered. More than a fleet of gateways sends in the time of a statement.
const MAX_WAITING: usize = 16_384;
/// Most marks of one statement.
const BATCH: usize = 1_000;

/// Why a mark has come to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unmarked {
    /// There is no such match, or the user is no member.
    NoMatch,
    /// PostgreSQL is away, or too much waits.
    Unavailable,
}

type Answer = oneshot::Sender<Result<Position, Unmarked>>;

/// The way to the task that stores marks. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Marks {
    waiting: mpsc::Sender<(Mark, Answer)>,
}

impl Marks {
    /// Starts the task.
    pub(crate) fn start(shared: &Shared, lifecycle: &Lifecycle) -> Self {
        let (waiting, marks) = mpsc::channel(MAX_WAITING);
        let work = Work {
            store: shared.store.clone(),
            inbox: Inbox::new(shared),
            gathering: Gathering::default(),
            telling: Telling::default(),
        };
        lifecycle.spawn_essential("marks", work.run(marks));
        Self { waiting }
    }

    /// Has a mark stored. Returns where the member stands after it.
    pub(crate) async fn take(&self, mark: Mark) -> Result<Position, Unmarked> {
        let (answer, marked) = oneshot::channel();
        self.waiting.try_send((mark, answer)).map_err(|_| Unmarked::Unavailable)?;
        marked.await.map_err(|_| Unmarked::Unavailable)?
    }
}

struct Work {
    store: Store,
    inbox: Inbox,
    gathering: Gathering<Answer>,
    telling: Telling,
}

impl Work {
    async fn run(mut self, mut marks: mpsc::Receiver<(Mark, Answer)>) {
        loop {
            let (due, told) = (self.gathering.next_due(), self.telling.next_due());
            tokio::select! {
                mark = marks.recv() => match mark {
                    Some((mark, answer)) => self.gathering.add(mark, answer, Instant::now().into_std()),
                    None => return,
                },
                () = sleep_until(due.map_or_else(far, Instant::from_std)), if due.is_some() => self.store().await,
                () = sleep_until(told.map_or_else(far, Instant::from_std)), if told.is_some() => self.tell_others(),
            }
        }
    }

    /// Stores what is due, answers it, and tells those who may see it.
    async fn store(&mut self) {
        let due = self.gathering.take_due(Instant::now().into_std(), BATCH);
        let (marks, answers): (Vec<Mark>, Vec<Vec<Answer>>) = due.into_iter().unzip();
        let marked = self.store.mark(&marks).await;
        if let Err(error) = &marked {
            warn!(%error, "marks cannot be stored");
        }
        let mut results = results(marked, marks.len()).into_iter();
        for (mark, answers) in marks.iter().zip(answers) {
            let marked = results.next().unwrap_or(Err(Unmarked::Unavailable));
            let position = marked.as_ref().map(|marked| marked.position.clone()).map_err(|unmarked| *unmarked);
            for answer in answers {
                // Who has stopped waiting needs no answer.
                let _ = answer.send(position.clone());
            }
            if let Ok(marked) = marked
                && marked.has_moved
            {
                self.tell(mark, marked);
            }
        }
    }

    /// Tells the user's own devices, and the others: several of them at most once a second. What is not told is seen in
    /// the next page.
    fn tell(&mut self, mark: &Mark, Marked { position, mut others, .. }: Marked) {
        let Position { read_seq, delivered_seq, at_ms, .. } = position;
        let (match_id, user_id) = (mark.match_id.to_string(), mark.user.to_string());
        let updated = ReceiptUpdated { match_id, user_id, read_seq, delivered_seq, at_ms: at_ms.unwrap_or(0) };
        let mut at_once = vec![mark.user.clone()];
        if others.len() > 1 {
            let now = Instant::now().into_std();
            others =
                self.telling.add(&mark.match_id, (updated.clone(), others), now).map(|of| of.1).unwrap_or_default();
        }
        at_once.append(&mut others);
        let _ = self.inbox.publish_at_once(&at_once, Event::ReceiptUpdated(updated));
    }

    fn tell_others(&mut self) {
        for (user, updated) in self.telling.take_due(Instant::now().into_std()) {
            let event = Event::ReceiptsUpdated(ReceiptsUpdated { updated });
            let _ = self.inbox.publish_at_once(&[user], event);
        }
    }
}

/// One result for each mark.
fn results(marked: Result<Vec<Option<Marked>>, StoreError>, count: usize) -> Vec<Result<Marked, Unmarked>> {
    match marked {
        Ok(marked) => marked.into_iter().map(|marked| marked.ok_or(Unmarked::NoMatch)).collect(),
        Err(_) => (0..count).map(|_| Err(Unmarked::Unavailable)).collect(),
    }
}

/// A moment that does not come.
fn far() -> Instant {
    Instant::now() + Duration::from_hours(24)
}

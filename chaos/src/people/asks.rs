//! The acks that a connection owes, and whether it forgets one. Pure.

use std::{collections::VecDeque, time::Duration};

/// The gateway answers within 5 s, and handles a socket's events in order: what is unanswered when something that was
/// asked so much later has been answered for this long, was dropped.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked for what was dropped.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Answers that are remembered: one a second, for a while.
const REMEMBERED: usize = 64;

#[derive(Debug)]
struct Open<T> {
    id: u64,
    at: Duration,
    what: T,
}

/// What was asked on one connection and not answered yet.
#[derive(Debug)]
pub(super) struct Asks<T> {
    next_id: u64,
    open: Vec<Open<T>>,
    /// When something was answered, and when it had been asked.
    answers: VecDeque<(Duration, Duration)>,
    looked: Duration,
}

impl<T> Default for Asks<T> {
    fn default() -> Self {
        Self { next_id: 0, open: Vec::new(), answers: VecDeque::new(), looked: Duration::ZERO }
    }
}

impl<T> Asks<T> {
    /// Something is asked; the id of its ack.
    pub(super) fn ask(&mut self, what: T, now: Duration) -> u64 {
        self.next_id += 1;
        self.open.push(Open { id: self.next_id, at: now, what });
        self.next_id
    }

    /// An ack came: to what.
    pub(super) fn answered(&mut self, id: u64, now: Duration) -> Option<T> {
        let at = self.open.iter().position(|open| open.id == id)?;
        let open = self.open.remove(at);
        if self.answers.back().is_none_or(|(answered, _)| *answered + LOOK_EVERY <= now) {
            if self.answers.len() >= REMEMBERED {
                self.answers.pop_front();
            }
            self.answers.push_back((now, open.at));
        }
        Some(open.what)
    }

    /// The connection is gone: what was not answered on it never will be.
    pub(super) fn clear(&mut self) -> impl Iterator<Item = T> + use<T> {
        self.answers.clear();
        std::mem::take(&mut self.open).into_iter().map(|open| open.what)
    }

    /// What was dropped in silence, by its age; each is told once.
    pub(super) fn dropped(&mut self, now: Duration) -> Option<(T, Duration)> {
        if self.looked + LOOK_EVERY > now {
            return None;
        }
        self.looked = now;
        let settled = self.answers.iter().filter(|(answered, _)| *answered + PATIENCE <= now);
        let proof = settled.map(|(_, asked)| *asked).max()?;
        let at = self.open.iter().position(|open| open.at + PATIENCE < proof)?;
        let open = self.open.remove(at);
        Some((open.what, now.saturating_sub(open.at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_a_later_answer_has_overtaken_for_long_was_dropped() {
        let mut asks = Asks::default();
        asks.ask("lost", SECOND);
        let later = asks.ask("later", SECOND * 12);
        assert_eq!(asks.answered(later, SECOND * 13), Some("later"));
        assert_eq!(asks.dropped(SECOND * 14), None, "it may be on its way");
        assert_eq!(asks.dropped(SECOND * 23), Some(("lost", SECOND * 22)));
        assert_eq!(asks.dropped(SECOND * 30), None);
    }

    #[test]
    fn a_connection_that_says_nothing_has_dropped_nothing() {
        let mut asks = Asks::default();
        asks.ask("one", SECOND);
        asks.ask("two", SECOND * 20);
        assert_eq!(asks.dropped(SECOND * 60), None);
        assert_eq!(asks.clear().collect::<Vec<_>>(), ["one", "two"]);
    }
}

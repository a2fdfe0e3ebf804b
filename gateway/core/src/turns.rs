//! Work of one socket that must be done in order: one piece in flight, the rest waits. Pure: no IO, no clock.

use std::{collections::VecDeque, time::Duration};

/// Most pieces that wait behind the one in flight.
pub const MAX_WAITING: usize = 64;

/// When to try again after a [`Turn::Full`]: what waits may be less by then.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Most bytes that go together, well below NATS' limit of 1 MB a message.
pub const MAX_BATCH_BYTES: usize = 256 * 1024;

/// A piece of work that can wait.
pub trait Weighted {
    /// Bytes of its payload.
    fn bytes(&self) -> usize;
}

/// The work of one kind: a socket's joins, its call commands, or its sends to one match. While a piece is in flight it
/// holds those that wait; idle it is one word.
#[derive(Debug)]
#[expect(clippy::box_collection, reason = "a deque itself is four words")]
pub struct Turns<T>(Option<Box<VecDeque<T>>>);

/// What became of a piece of work.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn<T> {
    /// It is its turn: the caller does it, and then asks for what is [`next_batch`](Turns::next_batch).
    Now(T),
    /// It waits for those before it.
    Waits,
    /// Too many wait already.
    Full(T),
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Weighted> Turns<T> {
    /// Takes a piece of work, of which up to [`MAX_WAITING`] may wait.
    pub fn take(&mut self, work: T) -> Turn<T> {
        self.take_within(MAX_WAITING, work)
    }

    /// Takes a piece of work, of which up to `most` may wait.
    pub fn take_within(&mut self, most: usize, work: T) -> Turn<T> {
        let Some(waiting) = &mut self.0 else {
            self.0 = Some(Box::default());
            return Turn::Now(work);
        };
        if waiting.len() >= most {
            return Turn::Full(work);
        }
        waiting.push_back(work);
        Turn::Waits
    }

    /// Bytes of all that waits.
    pub fn waiting_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |waiting| waiting.iter().map(Weighted::bytes).sum())
    }

    /// What was in flight is done: what goes next, together and in order; empty when nothing waits.
    pub fn next_batch(&mut self) -> Vec<T> {
        let mut bytes = 0;
        let mut batch = Vec::new();
        let Some(waiting) = &mut self.0 else { return batch };
        while let Some(work) = waiting.front() {
            bytes += work.bytes();
            if bytes > MAX_BATCH_BYTES && !batch.is_empty() {
                break;
            }
            batch.extend(waiting.pop_front());
        }
        if batch.is_empty() {
            self.0 = None;
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Weighted for usize {
        fn bytes(&self) -> usize {
            *self
        }
    }

    #[test]
    fn what_arrives_meanwhile_goes_together_in_order() {
        let mut turns = Turns::default();
        assert_eq!(turns.take(1), Turn::Now(1));
        assert_eq!(turns.take(2), Turn::Waits);
        assert_eq!(turns.take(3), Turn::Waits);
        assert_eq!(turns.next_batch(), [2, 3]);
        assert_eq!(turns.take(4), Turn::Waits);
        assert_eq!(turns.next_batch(), [4]);
        assert_eq!(turns.next_batch(), [] as [usize; 0]);
        assert_eq!(turns.take(5), Turn::Now(5));
    }

    #[test]
    fn the_65th_that_would_wait_is_refused() {
        let mut turns = Turns::default();
        turns.take(1);
        for _ in 0..MAX_WAITING {
            assert_eq!(turns.take(1), Turn::Waits);
        }
        assert_eq!(turns.take(9), Turn::Full(9));
    }

    #[test]
    fn what_waits_is_weighed_and_what_is_in_flight_is_not() {
        let mut turns = Turns::default();
        turns.take(7);
        assert_eq!(turns.waiting_bytes(), 0);
        turns.take(2);
        turns.take(3);
        assert_eq!(turns.waiting_bytes(), 5);
        turns.next_batch();
        assert_eq!(turns.waiting_bytes(), 0);
    }

    #[test]
    fn a_batch_stays_below_the_limit_of_the_broker() {
        let mut turns = Turns::default();
        turns.take(1);
        for _ in 0..3 {
            turns.take(MAX_BATCH_BYTES / 2);
        }
        assert_eq!(turns.next_batch().len(), 2);
        assert_eq!(turns.next_batch().len(), 1);
    }
}

//! How far a socket has come in one counter of a match: what it was given, and what waits behind a gap. Pure: no IO, no
//! clock.

use std::collections::BTreeMap;

use crate::mistake::{self, Mistake};

/// Most that is held back behind a gap or a running join; what lies beyond is fetched again later.
pub const MAX_HELD: usize = 200;

/// What has a place in a counter, from 1.
pub trait Counted {
    /// Its place.
    fn number(&self) -> i64;
}

/// A socket's way through one counter.
///
/// Everything up to `cursor` was given, is the socket's own, or was left to paging; nothing above it was.
#[derive(Debug)]
pub(crate) struct Track<T> {
    cursor: i64,
    /// The highest number heard of.
    head: i64,
    /// Mostly nothing, and then it is one word.
    #[expect(clippy::box_collection, reason = "a map itself is three words")]
    held: Option<Box<BTreeMap<i64, T>>>,
}

impl<T: Counted> Track<T> {
    /// One that has come so far, and knows how much there is.
    pub(crate) fn at(cursor: i64, head: i64) -> Self {
        Self { cursor, head, held: None }
    }

    pub(crate) fn cursor(&self) -> i64 {
        self.cursor
    }

    /// The highest number heard of.
    pub(crate) fn head(&self) -> i64 {
        self.head
    }

    /// Whether something is missing.
    pub(crate) fn is_behind(&self) -> bool {
        self.head > self.cursor
    }

    /// There are at least so many.
    pub(crate) fn learn_head(&mut self, head: i64) {
        self.head = self.head.max(head);
    }

    /// Everything up to here was shown in another way.
    pub(crate) fn skip_to(&mut self, cursor: i64) {
        self.cursor = self.cursor.max(cursor);
        self.head = self.head.max(self.cursor);
    }

    /// Something arrived. Returns what is to be given now; what may not be given yet is held.
    pub(crate) fn take(&mut self, item: T, may_be_given: impl Fn(&T) -> bool) -> Vec<T> {
        let number = item.number();
        self.head = self.head.max(number);
        if number <= self.cursor {
            return if mistake::is_planted(Mistake::NoDrop) { vec![item] } else { Vec::new() };
        }
        let is_next = number == self.cursor + 1 || mistake::is_planted(Mistake::NoHold);
        if is_next && self.held.is_none() && may_be_given(&item) {
            self.cursor = number;
            return vec![item];
        }
        let held = self.held.get_or_insert_default();
        held.insert(number, item);
        if held.len() > MAX_HELD {
            // The lowest are due first; the highest can be fetched again.
            held.pop_last();
        }
        self.release(may_be_given)
    }

    /// Everything up to `through` that exists has arrived. Returns what is to be given now, also of what was held
    /// behind the holes.
    pub(crate) fn pass(&mut self, through: i64, may_be_given: impl Fn(&T) -> bool) -> Vec<T> {
        let mut ready = Vec::new();
        while let Some(next) = self.held.as_mut().and_then(|held| held.first_entry()) {
            if *next.key() > through || !may_be_given(next.get()) {
                break;
            }
            let (number, item) = next.remove_entry();
            if number > self.cursor {
                self.cursor = number;
                ready.push(item);
            }
        }
        // What may not be given yet is passed when it may.
        let next_held = self.held.as_ref().and_then(|held| held.keys().next());
        self.skip_to(next_held.map_or(through, |next| through.min(next - 1)));
        ready.extend(self.release(may_be_given));
        ready
    }

    /// Returns what was held and is to be given now.
    pub(crate) fn release(&mut self, may_be_given: impl Fn(&T) -> bool) -> Vec<T> {
        let mut ready = Vec::new();
        let Some(held) = &mut self.held else { return ready };
        while let Some(first) = held.first_entry() {
            if *first.key() > self.cursor + 1 || (*first.key() > self.cursor && !may_be_given(first.get())) {
                break;
            }
            let (number, item) = first.remove_entry();
            if number > self.cursor {
                self.cursor = number;
                ready.push(item);
            }
        }
        self.held.take_if(|held| held.is_empty());
        ready
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl Counted for i64 {
        fn number(&self) -> i64 {
            *self
        }
    }

    const NOTHING: [i64; 0] = [];

    fn at(cursor: i64) -> Track<i64> {
        Track::at(cursor, cursor)
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "it is what a track asks")]
    fn anything(_: &i64) -> bool {
        true
    }

    #[test]
    fn the_next_is_given_and_a_repeat_is_not() {
        let mut track = at(7);
        assert_eq!(track.take(8, anything), [8]);
        assert_eq!(track.take(8, anything), NOTHING);
        assert_eq!(track.take(3, anything), NOTHING);
        assert!(!track.is_behind());
    }

    #[test]
    fn a_gap_holds_what_follows_until_it_is_filled() {
        let mut track = at(0);
        assert_eq!(track.take(3, anything), NOTHING);
        assert!(track.is_behind());
        assert_eq!([track.take(1, anything), track.take(2, anything)], [vec![1], vec![2, 3]]);
    }

    #[test]
    fn a_flood_behind_a_gap_is_bounded_and_stays_known() {
        let mut track = at(0);
        (2..2_000).for_each(|number| drop(track.take(number, anything)));
        assert_eq!(track.held.as_ref().unwrap().len(), MAX_HELD);
        let healed: Vec<i64> = (1..2_000).flat_map(|number| track.take(number, anything)).collect();
        assert_eq!(healed, (1..2_000).collect::<Vec<_>>());
    }

    #[test]
    fn what_may_not_be_given_yet_waits_and_all_that_follows_with_it() {
        let mut track = at(0);
        assert_eq!(track.take(1, |_| false), NOTHING);
        assert_eq!(track.take(2, |number| *number > 1), NOTHING);
        assert_eq!(track.pass(2, |_| false), NOTHING);
        assert!(track.is_behind() && track.cursor() == 0);
        assert_eq!(track.release(anything), [1, 2]);
    }

    #[test]
    fn holes_are_passed_up_to_what_may_not_be_given_yet() {
        let mut track = at(0);
        track.take(3, anything);
        track.take(5, anything);
        track.learn_head(9);
        assert_eq!(track.pass(9, |number| *number < 5), [3]);
        assert_eq!(track.cursor(), 4);
        assert_eq!(track.pass(9, anything), [5]);
        assert!(!track.is_behind());
    }

    proptest! {
        /// Whatever arrives in whatever order and however often: once the rest has come, each was given once, in order.
        #[test]
        fn each_is_given_once_and_in_order(
            start in 0_i64..5,
            arrivals in prop::collection::vec((1_i64..30, any::<bool>()), 0..120),
        ) {
            let mut track = at(start);
            let mut given = Vec::new();
            for (number, may) in &arrivals {
                given.extend(track.take(*number, |_| *may));
            }
            let head = arrivals.iter().map(|(number, _)| *number).max().unwrap_or(0).max(start);
            prop_assert_eq!(track.is_behind(), track.cursor() < head);
            let rest: Vec<i64> = (track.cursor() + 1..=head).collect();
            given.extend(rest.into_iter().flat_map(|number| track.take(number, anything)));
            given.extend(track.release(anything));
            prop_assert_eq!(given, (start + 1..=head).collect::<Vec<_>>());
            prop_assert!(track.held.is_none());
        }
    }
}

//! One socket's view of one joined chat: what it was given, what it waits for. Pure: no IO, no clock.

use std::collections::BTreeMap;

/// Most messages held back behind a gap or a running join; what lies beyond is fetched again later.
pub const MAX_HELD: usize = 200;

/// What has a place in an order from 1.
pub trait Sequenced {
    /// Its place.
    fn seq(&self) -> i64;
}

/// The cursors of one joined chat: over its messages `M` and its milestones `N`.
///
/// Every message up to `cursor` was delivered, is the socket's own, or was left to paging; nothing above it was.
#[derive(Debug)]
pub struct Room<M, N> {
    cursor: i64,
    /// The highest seq heard of.
    head: i64,
    milestones: i64,
    /// False until the first join has read its snapshot.
    open: bool,
    /// While a join runs everything is held.
    joining: bool,
    /// After a recovery what was missed is fetched page by page; live messages only raise the head until that is done.
    pulling: bool,
    held: BTreeMap<i64, M>,
    held_milestones: BTreeMap<i64, N>,
}

/// What a room gives its socket now, in order.
#[derive(Debug, PartialEq, Eq)]
pub struct Due<M, N> {
    /// First these,
    pub messages: Vec<M>,
    /// then these.
    pub milestones: Vec<N>,
}

impl<M: Sequenced, N: Sequenced> Room<M, N> {
    /// A room whose first join has begun.
    pub fn joining() -> Self {
        Self {
            cursor: 0,
            head: 0,
            milestones: 0,
            open: false,
            joining: true,
            pulling: false,
            held: BTreeMap::new(),
            held_milestones: BTreeMap::new(),
        }
    }

    /// A room that an earlier socket had open, as far as that one had read.
    pub fn recovered(cursor: i64, head: i64, milestones: i64) -> Self {
        Self { cursor, head, milestones, open: true, joining: false, pulling: cursor < head, ..Self::joining() }
    }

    /// Another join of the room has begun.
    pub fn rejoin(&mut self) {
        self.joining = true;
    }

    /// The join's snapshot was read: live starts after `last_seq`, `milestones` of them are known.
    pub fn opened(&mut self, last_seq: i64, milestones: i64) -> Due<M, N> {
        self.open = true;
        self.cursor = self.cursor.max(last_seq);
        self.milestones = self.milestones.max(milestones);
        self.head = self.head.max(self.cursor);
        self.pulling &= self.head > self.cursor;
        self.resume()
    }

    /// The join has failed. `None` if it was the first: the room is to be dropped.
    pub fn join_failed(&mut self) -> Option<Due<M, N>> {
        self.open.then(|| self.resume())
    }

    /// A message arrived. Returns what is to be delivered now.
    pub fn post(&mut self, message: M) -> Vec<M> {
        if self.pulling {
            self.learn_head(message.seq());
            return Vec::new();
        }
        self.take(message)
    }

    /// A missed message was fetched. Returns what is to be delivered now.
    pub fn fill(&mut self, message: M) -> Vec<M> {
        let due = self.take(message);
        self.pulling &= self.head > self.cursor;
        due
    }

    fn take(&mut self, message: M) -> Vec<M> {
        let seq = message.seq();
        self.head = self.head.max(seq);
        if seq <= self.cursor {
            return Vec::new();
        }
        if !self.joining && seq == self.cursor + 1 && self.held.is_empty() {
            self.cursor = seq;
            return vec![message];
        }
        self.held.insert(seq, message);
        if self.held.len() > MAX_HELD {
            // The lowest are due first; the highest can be fetched again.
            self.held.pop_last();
        }
        if self.joining { Vec::new() } else { self.release() }
    }

    /// A milestone was announced. Returns it if this socket is to be told now: one that follows a gap is told when the heads
    /// are compared, after those that were missed.
    pub fn announce(&mut self, milestone: N) -> Option<N> {
        if self.joining {
            self.held_milestones.insert(milestone.seq(), milestone);
            return None;
        }
        (milestone.seq() == self.milestones + 1).then(|| {
            self.milestones = milestone.seq();
            milestone
        })
    }

    /// The chat's head is at least `last_seq`.
    pub fn learn_head(&mut self, last_seq: i64) {
        self.head = self.head.max(last_seq);
    }

    /// Whether messages are missing.
    pub fn is_behind(&self) -> bool {
        !self.joining && self.head > self.cursor
    }

    /// Whether what was missed before a recovery is still being fetched.
    pub fn is_pulling(&self) -> bool {
        self.pulling
    }

    /// Whether the room has been joined.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Everything up to it was delivered, is the socket's own, or was left to paging.
    pub fn cursor(&self) -> i64 {
        self.cursor
    }

    /// How many milestones this socket was told.
    pub fn milestones(&self) -> i64 {
        self.milestones
    }

    fn resume(&mut self) -> Due<M, N> {
        self.joining = false;
        let held = std::mem::take(&mut self.held_milestones);
        let milestones = held.into_values().filter_map(|milestone| self.announce(milestone)).collect();
        Due { messages: self.release(), milestones }
    }

    fn release(&mut self) -> Vec<M> {
        self.held = self.held.split_off(&(self.cursor + 1));
        let mut ready = Vec::new();
        while let Some(message) = self.held.remove(&(self.cursor + 1)) {
            self.cursor += 1;
            ready.push(message);
        }
        ready
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl Sequenced for i64 {
        fn seq(&self) -> i64 {
            *self
        }
    }

    type TestRoom = Room<i64, i64>;

    const NOTHING: [i64; 0] = [];

    fn open_at(last_seq: i64) -> TestRoom {
        let mut room = TestRoom::joining();
        assert_eq!(room.opened(last_seq, 0), Due { messages: vec![], milestones: vec![] });
        room
    }

    #[test]
    fn the_next_message_is_delivered_and_a_repeat_is_not() {
        let mut room = open_at(7);
        assert_eq!(room.post(8), [8]);
        assert_eq!(room.post(8), NOTHING);
        assert_eq!(room.post(3), NOTHING);
    }

    #[test]
    fn a_gap_holds_what_follows_until_it_is_filled() {
        let mut room = open_at(0);
        assert_eq!(room.post(3), NOTHING);
        assert!(room.is_behind());
        assert_eq!(room.post(1), [1]);
        assert_eq!(room.post(2), [2, 3]);
        assert!(!room.is_behind());
    }

    #[test]
    fn what_arrives_during_a_join_follows_its_snapshot() {
        let mut room = TestRoom::joining();
        for seq in [4, 5, 6] {
            assert_eq!(room.post(seq), NOTHING);
        }
        assert_eq!(room.announce(1), None);
        assert_eq!(room.opened(5, 0), Due { messages: vec![6], milestones: vec![1] });
        assert_eq!(room.announce(1), None);
    }

    #[test]
    fn a_milestone_of_the_snapshot_is_not_told_again() {
        let mut room = TestRoom::joining();
        room.announce(1);
        assert_eq!(room.opened(100, 1).milestones, NOTHING);
        assert_eq!(room.announce(1), None);
        assert_eq!(room.announce(2), Some(2));
    }

    #[test]
    fn a_milestone_that_overtook_another_waits_for_it() {
        let mut room = open_at(0);
        assert_eq!(room.announce(2), None);
        assert_eq!(room.milestones(), 0);
        assert_eq!([room.announce(1), room.announce(2)], [Some(1), Some(2)]);
    }

    #[test]
    fn a_failed_first_join_leaves_no_room_and_a_failed_further_one_goes_on() {
        assert_eq!(TestRoom::joining().join_failed(), None);
        let mut room = open_at(2);
        room.rejoin();
        assert_eq!(room.post(3), NOTHING);
        assert_eq!(room.join_failed().unwrap().messages, [3]);
    }

    #[test]
    fn a_flood_behind_a_gap_is_bounded_and_stays_known() {
        let mut room = open_at(0);
        for seq in 2..2_000 {
            room.post(seq);
        }
        assert_eq!(room.held.len(), MAX_HELD);
        let healed: Vec<i64> = (1..2_000).flat_map(|seq| room.post(seq)).collect();
        assert_eq!(healed, (1..2_000).collect::<Vec<_>>());
    }

    #[test]
    fn a_recovered_room_pulls_what_was_missed_before_anything_live() {
        let mut room = TestRoom::recovered(3, 6, 0);
        assert!(room.is_behind());
        assert_eq!(room.post(7), NOTHING);
        assert_eq!(room.post(4), NOTHING);
        let pulled: Vec<i64> = [4, 5, 6].into_iter().flat_map(|seq| room.fill(seq)).collect();
        assert_eq!(pulled, [4, 5, 6]);
        assert!(room.is_behind(), "7 arrived meanwhile");
        assert_eq!(room.fill(7), [7]);
        assert!(!room.is_behind());
        assert_eq!(room.post(8), [8]);
    }

    #[test]
    fn a_join_of_a_room_that_pulls_leaves_the_rest_to_paging() {
        let mut room = TestRoom::recovered(3, 6, 0);
        room.rejoin();
        assert_eq!(room.opened(6, 0).messages, NOTHING);
        assert_eq!(room.post(7), [7]);
    }

    proptest! {
        /// Whatever arrives in whatever order and however often: once the range was fetched, each came once and in order.
        #[test]
        fn every_message_is_delivered_once_and_in_order(
            start in 0_i64..5,
            arrivals in prop::collection::vec(1_i64..30, 0..120),
            join_at in 0_usize..120,
        ) {
            let mut room = open_at(start);
            let mut seen = Vec::new();
            for (index, seq) in arrivals.iter().enumerate() {
                if index == join_at {
                    room.rejoin();
                }
                seen.extend(room.post(*seq));
            }
            if arrivals.len() > join_at {
                seen.extend(room.join_failed().unwrap().messages);
            }
            let head = arrivals.iter().copied().max().unwrap_or(0).max(start);
            prop_assert_eq!(room.is_behind(), room.cursor() < head);
            seen.extend((room.cursor() + 1..=head).collect::<Vec<_>>().into_iter().flat_map(|seq| room.post(seq)));
            prop_assert_eq!(seen, (start + 1..=head).collect::<Vec<_>>());
            prop_assert!(!room.is_behind());
        }
    }
}

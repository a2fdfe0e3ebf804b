//! Rooms through joins, gaps, floods and recoveries.

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

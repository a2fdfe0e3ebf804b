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
    assert_eq!(room.held.as_ref().unwrap().messages.len(), MAX_HELD);
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

/// One page of at most `limit` of the messages that exist, as chat-service gives it. Returns what the room delivers.
fn fetch(room: &mut TestRoom, (existing, head): (&[i64], i64), limit: usize) -> Vec<i64> {
    let rest: Vec<i64> = existing.iter().copied().filter(|seq| *seq > room.cursor()).collect();
    let page = &rest[..limit.min(rest.len())];
    let through = if rest.len() > limit { page[limit - 1] } else { head };
    let mut due: Vec<i64> = page.iter().flat_map(|seq| room.fill(*seq)).collect();
    due.extend(room.pass(through));
    due
}

/// Fetches page after page until nothing is missing. Fails if a page brings no progress.
fn heal(room: &mut TestRoom, (existing, head): (&[i64], i64), limit: usize) -> Vec<i64> {
    let mut due = Vec::new();
    while room.is_behind() {
        let before = room.cursor();
        due.extend(fetch(room, (existing, head), limit));
        assert!(room.cursor() > before, "the same page would be fetched for ever");
    }
    due
}

#[test]
fn a_missing_row_after_the_cursor_is_passed_and_what_was_held_behind_it_is_delivered() {
    let mut room = open_at(0);
    assert_eq!([2, 3].map(|seq| room.post(seq)), [NOTHING; 2]);
    assert_eq!(heal(&mut room, (&[2, 3], 3), 100), [2, 3]);
    assert_eq!((room.cursor(), room.post(4)), (3, vec![4]));
}

#[test]
fn holes_at_the_beginning_in_the_middle_and_at_the_end_are_passed() {
    for limit in 1..8 {
        let mut room = open_at(0);
        room.learn_head(12);
        assert_eq!(heal(&mut room, (&[3, 4, 7, 10], 12), limit), [3, 4, 7, 10]);
        assert_eq!((room.cursor(), room.post(13)), (12, vec![13]));
    }
}

#[test]
fn a_chat_without_any_message_below_its_head_is_passed_with_one_page() {
    let mut room = TestRoom::recovered(3, 900, 0);
    assert_eq!(fetch(&mut room, (&[], 900), 100), NOTHING);
    assert!(!room.is_behind() && !room.is_pulling());
    assert_eq!(room.post(901), [901]);
}

#[test]
fn a_page_of_a_service_that_does_not_say_how_far_it_is_complete_passes_the_holes_before_its_messages() {
    let mut room = open_at(0);
    room.learn_head(9);
    assert_eq!([4, 7].into_iter().flat_map(|seq| room.fill(seq)).collect::<Vec<_>>(), [4, 7]);
    assert!(room.is_behind(), "whether 8 and 9 exist is not known");
}

#[test]
fn a_join_that_runs_holds_what_a_page_brings_and_passes_nothing() {
    let mut room = open_at(0);
    room.post(3);
    room.rejoin();
    assert_eq!((room.fill(2), room.pass(3)), (vec![], vec![]));
    assert_eq!(room.cursor(), 0);
    assert_eq!(room.join_failed().unwrap().messages, NOTHING);
    assert_eq!(heal(&mut room, (&[2, 3], 3), 100), [2, 3]);
}

#[test]
fn a_pull_that_is_given_up_holds_live_messages_again() {
    let mut room = TestRoom::recovered(0, 5, 0);
    room.stop_pulling();
    assert_eq!(room.post(6), NOTHING);
    assert_eq!(heal(&mut room, (&[1, 2, 3, 4, 5, 6], 6), 2), [1, 2, 3, 4, 5, 6]);
}

proptest! {
    /// Whatever rows are missing: what exists is delivered once and in order, and each page brings the room forward.
    #[test]
    fn holes_of_any_kind_are_passed(
        erased in prop::collection::btree_set(1_i64..60, 0..60),
        arrivals in prop::collection::vec((1_i64..60, any::<bool>()), 0..80),
        (limit, join_at, start) in (1_usize..12, 0_usize..100, 0_i64..5),
        is_recovered in any::<bool>(),
    ) {
        let head = arrivals.iter().map(|(seq, _)| *seq).max().unwrap_or(0).max(start) + 2;
        let existing: Vec<i64> = (1..=head).filter(|seq| !erased.contains(seq)).collect();
        let mut room = if is_recovered { TestRoom::recovered(start, head, 0) } else { open_at(start) };
        let mut seen = Vec::new();
        for (index, (seq, fetches)) in arrivals.iter().enumerate() {
            if index == join_at {
                room.rejoin();
            }
            seen.extend(room.post(*seq));
            if *fetches && room.is_behind() {
                seen.extend(fetch(&mut room, (&existing, head), limit));
            }
        }
        if arrivals.len() > join_at {
            seen.extend(room.join_failed().unwrap().messages);
        }
        room.learn_head(head);
        seen.extend(heal(&mut room, (&existing, head), limit));
        prop_assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "{seen:?}");
        prop_assert!(existing.iter().filter(|seq| **seq > start).all(|seq| seen.contains(seq)), "{seen:?}");
        let has_arrived = |seq: &i64| arrivals.iter().any(|(arrived, _)| arrived == seq);
        prop_assert!(seen.iter().all(|seq| *seq > start && (existing.contains(seq) || has_arrived(seq))));
        prop_assert_eq!(room.cursor(), head);
        prop_assert_eq!(room.post(head + 1), [head + 1]);
    }

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

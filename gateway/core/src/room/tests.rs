//! Rooms through joins, gaps, floods and recoveries.

use proptest::prelude::*;

use super::*;

/// A change with its rev, behind the message with this seq.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change(i64, i64);

impl Counted for Change {
    fn number(&self) -> i64 {
        self.0
    }
}

impl Follows for Change {
    fn after_seq(&self) -> i64 {
        self.1
    }
}

type TestRoom = Room<i64, Change>;

const NOTHING: [i64; 0] = [];

fn is_behind(room: &TestRoom) -> bool {
    room.missing().is_some()
}

fn open_at(last_seq: i64) -> TestRoom {
    let mut room = TestRoom::joining();
    assert_eq!(room.opened(last_seq, 0), Due::default());
    room
}

/// What is due, in its order: seqs as they are, and revs below 0.
fn in_order(due: Due<i64, Change>) -> Vec<i64> {
    let item = |item| match item {
        Item::Message(seq) => seq,
        Item::Change(Change(rev, _)) => -rev,
    };
    due.in_order().map(item).collect()
}

#[test]
fn what_arrives_during_a_join_follows_its_snapshot() {
    let mut room = TestRoom::joining();
    for seq in [4, 5, 6] {
        assert_eq!(room.post(seq), Due::default());
    }
    for change in [Change(1, 5), Change(2, 5), Change(3, 6)] {
        assert_eq!(room.change(change), Due::default());
    }
    assert_eq!(in_order(room.opened(5, 1)), [-2, 6, -3]);
    assert_eq!(room.change(Change(1, 5)), Due::default());
}

#[test]
fn a_change_waits_for_the_messages_before_it_and_for_the_changes() {
    let mut room = open_at(0);
    assert_eq!(room.change(Change(1, 2)), Due::default());
    assert_eq!(room.missing(), Some(Missing::Messages), "the change proves that there are two");
    assert_eq!(room.change(Change(3, 2)), Due::default());
    assert_eq!(in_order(room.post(1)), [1]);
    assert_eq!(in_order(room.post(2)), [2, -1]);
    assert_eq!(room.missing(), Some(Missing::Changes));
    assert_eq!(in_order(room.change(Change(2, 2))), [-2, -3]);
    assert_eq!((room.missing(), room.rev()), (None, 3));
}

#[test]
fn a_change_comes_before_the_message_that_follows_it() {
    let mut room = open_at(0);
    room.post(3);
    room.post(2);
    room.change(Change(1, 1));
    room.change(Change(2, 3));
    assert_eq!(in_order(room.post(1)), [1, -1, 2, 3, -2]);
}

#[test]
fn missing_changes_are_fetched_after_the_messages_and_a_rev_without_a_change_is_passed() {
    let mut room = TestRoom::recovered((1, 0), (2, 4));
    assert_eq!(room.missing(), Some(Missing::Messages));
    assert_eq!(in_order(room.fill(2)), [2]);
    assert_eq!(room.missing(), Some(Missing::Changes));
    // 1 is not there. 3 follows a message that has not come yet.
    assert_eq!(in_order(room.fill_change(Change(2, 2))), [-2]);
    assert_eq!(room.fill_change(Change(3, 5)), Due::default());
    assert_eq!(room.pass_changes(4), Due::default());
    assert_eq!((room.rev(), room.missing()), (2, Some(Missing::Messages)));
    let due: Vec<i64> = [3, 4, 5].into_iter().flat_map(|seq| in_order(room.post(seq))).collect();
    assert_eq!(due, [3, 4, 5, -3]);
    assert_eq!(room.pass_changes(4), Due::default());
    assert_eq!((room.rev(), room.missing()), (4, None));
}

#[test]
fn a_failed_first_join_leaves_no_room_and_a_failed_further_one_goes_on() {
    assert_eq!(TestRoom::joining().join_failed(), None);
    let mut room = open_at(2);
    room.rejoin();
    assert_eq!(room.post(3).messages, NOTHING);
    assert_eq!(room.join_failed().unwrap().messages, [3]);
}

#[test]
fn a_recovered_room_pulls_what_was_missed_before_anything_live() {
    let mut room = TestRoom::recovered((3, 0), (6, 0));
    assert!(is_behind(&room));
    assert_eq!(room.post(7).messages, NOTHING);
    assert_eq!(room.post(4).messages, NOTHING);
    let pulled: Vec<i64> = [4, 5, 6].into_iter().flat_map(|seq| room.fill(seq).messages).collect();
    assert_eq!(pulled, [4, 5, 6]);
    assert!(is_behind(&room), "7 arrived meanwhile");
    assert_eq!(room.fill(7).messages, [7]);
    assert!(!is_behind(&room));
    assert_eq!(room.post(8).messages, [8]);
}

#[test]
fn a_join_of_a_room_that_pulls_leaves_the_rest_to_paging() {
    let mut room = TestRoom::recovered((3, 0), (6, 0));
    room.rejoin();
    assert_eq!(room.opened(6, 0).messages, NOTHING);
    assert_eq!(room.post(7).messages, [7]);
}

/// One page of at most `limit` of the messages that exist, as chat-service gives it. Returns what the room delivers.
fn fetch(room: &mut TestRoom, (existing, head): (&[i64], i64), limit: usize) -> Vec<i64> {
    let rest: Vec<i64> = existing.iter().copied().filter(|seq| *seq > room.seq()).collect();
    let page = &rest[..limit.min(rest.len())];
    let through = if rest.len() > limit { page[limit - 1] } else { head };
    let mut due: Vec<i64> = page.iter().flat_map(|seq| room.fill(*seq).messages).collect();
    due.extend(room.pass(through).messages);
    due
}

/// Fetches page after page until nothing is missing. Fails if a page brings no progress.
fn heal(room: &mut TestRoom, (existing, head): (&[i64], i64), limit: usize) -> Vec<i64> {
    let mut due = Vec::new();
    while is_behind(room) {
        let before = room.seq();
        due.extend(fetch(room, (existing, head), limit));
        assert!(room.seq() > before, "the same page would be fetched for ever");
    }
    due
}

#[test]
fn a_missing_row_after_the_cursor_is_passed_and_what_was_held_behind_it_is_delivered() {
    let mut room = open_at(0);
    assert_eq!([2, 3].map(|seq| room.post(seq).messages), [NOTHING; 2]);
    assert_eq!(heal(&mut room, (&[2, 3], 3), 100), [2, 3]);
    assert_eq!((room.seq(), room.post(4).messages), (3, vec![4]));
}

#[test]
fn holes_at_the_beginning_in_the_middle_and_at_the_end_are_passed() {
    for limit in 1..8 {
        let mut room = open_at(0);
        room.learn_head(12, 0);
        assert_eq!(heal(&mut room, (&[3, 4, 7, 10], 12), limit), [3, 4, 7, 10]);
        assert_eq!((room.seq(), room.post(13).messages), (12, vec![13]));
    }
}

#[test]
fn a_chat_without_any_message_below_its_head_is_passed_with_one_page() {
    let mut room = TestRoom::recovered((3, 0), (900, 0));
    assert_eq!(fetch(&mut room, (&[], 900), 100), NOTHING);
    assert!(!is_behind(&room) && !room.is_pulling());
    assert_eq!(room.post(901).messages, [901]);
}

#[test]
fn a_page_of_a_service_that_does_not_say_how_far_it_is_complete_passes_the_holes_before_its_messages() {
    let mut room = open_at(0);
    room.learn_head(9, 0);
    assert_eq!([4, 7].into_iter().flat_map(|seq| room.fill(seq).messages).collect::<Vec<_>>(), [4, 7]);
    assert!(is_behind(&room), "whether 8 and 9 exist is not known");
}

#[test]
fn a_join_that_runs_holds_what_a_page_brings_and_passes_nothing() {
    let mut room = open_at(0);
    room.post(3);
    room.rejoin();
    assert_eq!((room.fill(2).messages, room.pass(3).messages), (vec![], vec![]));
    assert_eq!(room.seq(), 0);
    assert_eq!(room.join_failed().unwrap().messages, NOTHING);
    assert_eq!(heal(&mut room, (&[2, 3], 3), 100), [2, 3]);
}

#[test]
fn a_pull_that_is_given_up_holds_live_messages_again() {
    let mut room = TestRoom::recovered((0, 0), (5, 0));
    room.stop_pulling();
    assert_eq!(room.post(6).messages, NOTHING);
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
        let mut room = if is_recovered { TestRoom::recovered((start, 0), (head, 0)) } else { open_at(start) };
        let mut seen = Vec::new();
        for (index, (seq, fetches)) in arrivals.iter().enumerate() {
            if index == join_at {
                room.rejoin();
            }
            seen.extend(room.post(*seq).messages);
            if *fetches && is_behind(&room) {
                seen.extend(fetch(&mut room, (&existing, head), limit));
            }
        }
        if arrivals.len() > join_at {
            seen.extend(room.join_failed().unwrap().messages);
        }
        room.learn_head(head, 0);
        seen.extend(heal(&mut room, (&existing, head), limit));
        prop_assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "{seen:?}");
        prop_assert!(existing.iter().filter(|seq| **seq > start).all(|seq| seen.contains(seq)), "{seen:?}");
        let has_arrived = |seq: &i64| arrivals.iter().any(|(arrived, _)| arrived == seq);
        prop_assert!(seen.iter().all(|seq| *seq > start && (existing.contains(seq) || has_arrived(seq))));
        prop_assert_eq!(room.seq(), head);
        prop_assert_eq!(room.post(head + 1).messages, [head + 1]);
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
            seen.extend(room.post(*seq).messages);
        }
        if arrivals.len() > join_at {
            seen.extend(room.join_failed().unwrap().messages);
        }
        let head = arrivals.iter().copied().max().unwrap_or(0).max(start);
        prop_assert_eq!(is_behind(&room), room.seq() < head);
        seen.extend((room.seq() + 1..=head).collect::<Vec<_>>().into_iter().flat_map(|seq| room.post(seq).messages));
        prop_assert_eq!(seen, (start + 1..=head).collect::<Vec<_>>());
        prop_assert!(!is_behind(&room));
    }
}

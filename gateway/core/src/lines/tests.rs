//! Commands of one socket, by hand and by chance: what may go on, and in which order.

use proptest::prelude::*;

use super::*;
use Reach::{AllChats, Chat, Message};

fn id(chat: &str) -> MatchId {
    MatchId::new(chat).unwrap()
}

/// Whether it goes now.
fn take(lines: &mut Lines<usize>, chat: &str, reach: Reach, work: usize) -> bool {
    match lines.take(&id(chat), reach, work) {
        Turn::Now(_) => true,
        Turn::Waits => false,
        Turn::Full(work) => panic!("{work} is refused"),
    }
}

/// What goes on when the work of a match is done.
fn done(lines: &mut Lines<usize>, chat: &str) -> Vec<(String, Vec<usize>)> {
    lines.done(&id(chat));
    std::iter::from_fn(|| lines.next()).map(|batch| (batch.chat.to_string(), batch.work)).collect()
}

fn batch(chat: &str, work: &[usize]) -> (String, Vec<usize>) {
    (chat.to_owned(), work.to_vec())
}

#[test]
fn messages_that_stand_next_to_each_other_go_together() {
    let mut lines = Lines::default();
    assert!(take(&mut lines, "a", Message, 1));
    for work in 2..=4 {
        assert!(!take(&mut lines, "a", Message, work));
    }
    assert_eq!(done(&mut lines, "a"), [batch("a", &[2, 3, 4])]);
    assert_eq!(done(&mut lines, "a"), []);
    assert!(take(&mut lines, "a", Message, 5));
}

#[test]
fn a_change_of_the_chat_divides_messages() {
    let mut lines = Lines::default();
    assert!(take(&mut lines, "a", Message, 1));
    for (work, reach) in [(2, Message), (3, Chat), (4, Message), (5, Message)] {
        assert!(!take(&mut lines, "a", reach, work));
    }
    assert_eq!(done(&mut lines, "a"), [batch("a", &[2])]);
    assert_eq!(done(&mut lines, "a"), [batch("a", &[3])]);
    assert_eq!(done(&mut lines, "a"), [batch("a", &[4, 5])]);
}

#[test]
fn matches_do_not_wait_for_each_other() {
    let mut lines = Lines::default();
    assert!(take(&mut lines, "a", Chat, 1));
    assert!(take(&mut lines, "b", Chat, 2));
    assert!(take(&mut lines, "c", Message, 3));
    assert!(!take(&mut lines, "a", Message, 4));
    assert!(!take(&mut lines, "b", Message, 5));
    assert_eq!(done(&mut lines, "b"), [batch("b", &[5])]);
    assert_eq!(done(&mut lines, "a"), [batch("a", &[4])]);
}

#[test]
fn a_join_that_leaves_the_other_chats_waits_for_their_changes_and_holds_later_ones() {
    let mut lines = Lines::default();
    assert!(take(&mut lines, "a", Chat, 1));
    assert!(take(&mut lines, "b", Message, 2));
    assert!(!take(&mut lines, "c", AllChats, 3));
    assert!(!take(&mut lines, "d", Chat, 4));
    assert!(take(&mut lines, "e", Message, 5), "a message depends on its own match only");
    assert_eq!(done(&mut lines, "b"), []);
    assert_eq!(done(&mut lines, "a"), [batch("c", &[3])]);
    assert_eq!(done(&mut lines, "c"), [batch("d", &[4])]);
}

#[test]
fn several_matches_go_on_at_once_when_a_join_is_done() {
    let mut lines = Lines::default();
    assert!(take(&mut lines, "a", AllChats, 1));
    assert!(!take(&mut lines, "b", Chat, 2));
    assert!(!take(&mut lines, "c", Chat, 3));
    assert!(!take(&mut lines, "b", Message, 4));
    assert_eq!(done(&mut lines, "a"), [batch("b", &[2]), batch("c", &[3])]);
    assert_eq!(done(&mut lines, "b"), [batch("b", &[4])]);
}

#[test]
fn the_65th_message_that_would_wait_for_a_match_is_refused_and_so_is_the_65th_change() {
    let mut lines = Lines::default();
    assert!(take(&mut lines, "a", AllChats, 0));
    for work in 0..MAX_WAITING {
        assert!(!take(&mut lines, "a", Message, work));
        assert!(!take(&mut lines, &format!("b{work}"), Chat, work));
    }
    assert_eq!(lines.take(&id("a"), Message, 9), Turn::Full(9));
    assert_eq!(lines.take(&id("c"), Chat, 9), Turn::Full(9));
    assert!(!take(&mut lines, "b1", Message, 9));
}

#[test]
fn a_batch_stays_below_the_limit_of_the_broker() {
    let mut lines = Lines::default();
    assert!(take(&mut lines, "a", Message, 1));
    for _ in 0..3 {
        assert!(!take(&mut lines, "a", Message, MAX_BATCH_BYTES / 2));
    }
    assert_eq!(done(&mut lines, "a")[0].1.len(), 2);
    assert_eq!(done(&mut lines, "a")[0].1.len(), 1);
}

/// A command by chance.
fn command() -> impl Strategy<Value = (usize, Reach)> {
    (0..3_usize, prop_oneof![4 => Just(Message), 2 => Just(Chat), 1 => Just(AllChats)])
}

/// Whether the order of two commands counts.
fn depend((chat, reach): (usize, Reach), (other, other_reach): (usize, Reach)) -> bool {
    let leaves = [reach, other_reach].contains(&AllChats);
    chat == other || (leaves && reach != Message && other_reach != Message)
}

proptest! {
    #[test]
    fn what_depends_on_each_other_is_done_in_order_and_nothing_is_forgotten(
        commands in prop::collection::vec((command(), 0..4_usize), 1..60),
        choices in prop::collection::vec(0..8_usize, 60),
    ) {
        let mut lines = Lines::default();
        let mut working: Vec<(usize, Vec<usize>)> = Vec::new();
        let mut finished: Vec<usize> = Vec::new();
        let mut choices = choices.into_iter().cycle();
        let finish = |lines: &mut Lines<usize>, working: &mut Vec<(usize, Vec<usize>)>, at: usize| {
            let (chat, works) = working.swap_remove(at % working.len());
            lines.done(&id(&chat.to_string()));
            while let Some(Batch { chat, work }) = lines.next() {
                working.push((chat.as_str().parse().unwrap(), work));
            }
            works
        };
        for (number, ((chat, reach), pause)) in commands.iter().enumerate() {
            if let Turn::Now(work) = lines.take(&id(&chat.to_string()), *reach, number) {
                working.push((*chat, vec![work]));
            }
            if *pause == 0 && !working.is_empty() {
                finished.extend(finish(&mut lines, &mut working, choices.next().unwrap()));
            }
        }
        while !working.is_empty() {
            finished.extend(finish(&mut lines, &mut working, choices.next().unwrap()));
        }
        prop_assert_eq!(finished.len(), commands.len());
        prop_assert!(lines.waiting.is_none() && lines.working.is_empty());
        for (at, later) in finished.iter().enumerate() {
            for earlier in finished[at + 1..].iter().filter(|earlier| *earlier < later) {
                prop_assert!(!depend(commands[*earlier].0, commands[*later].0), "{later} overtook {earlier}");
            }
        }
    }
}

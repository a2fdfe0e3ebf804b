//! What is found by who cannot look into the database, and how little is kept for it.

use super::*;
use Promise::{Delivered, Durable, Once, Ordered};

const LOAD: Rules = Rules { milestones: &[], told_once: false, all_answered: false, remembered: 24 };

fn script() -> Script {
    Script::with(LOAD)
}

#[track_caller]
fn breaks(script: Script, promises: &[Promise]) {
    let facts = script.chat.as_seen();
    Script { facts, ..script }.breaks(promises);
}

#[test]
fn a_history_that_keeps_the_promises_has_no_violation() {
    let mut script = script();
    for index in 0..50 {
        script.send(u8::try_from(index % 3).unwrap(), index / 3);
    }
    breaks(script, &[]);
}

#[test]
fn an_acked_message_that_is_never_given_to_the_other_is_found() {
    for is_there in [true, false] {
        let mut script = script();
        script.send(0, 0);
        if !is_there {
            script.now(2, Event::Disconnected);
        }
        script.send_to(message(0, 1), &[1]);
        assert!(!script.chat.has_caught_up(2));
        breaks(script, &[Delivered]);
    }
}

#[test]
fn a_hole_in_the_seqs_is_found_unless_a_message_without_an_ack_fills_it() {
    for is_filled in [true, false] {
        let mut script = script();
        for (index, seq) in [(0, 1), (1, 2), (2, 3)] {
            let tag = message(0, index);
            script.emit(tag);
            if index != 1 {
                script.ack(tag, seq);
            }
            if is_filled || index != 1 {
                script.give(tag, seq, &[1, 2]);
            }
        }
        let tally = script.chat.clone().conclude(&script.chat.as_seen());
        assert_eq!(tally.of(Ordered).violations, u64::from(!is_filled));
    }
}

#[test]
fn deliveries_in_the_wrong_order_are_found() {
    let mut script = script();
    for index in [0, 1] {
        script.send_to(message(0, index), &[1]);
    }
    script.give(message(0, 1), 2, &[2]);
    script.give(message(0, 0), 1, &[2]);
    breaks(script, &[Delivered]);
}

#[test]
fn a_seq_of_two_messages_and_two_seqs_of_one_are_found() {
    let mut script = script();
    script.emit(message(0, 0));
    script.emit(message(2, 0));
    script.ack(message(0, 0), 1);
    script.ack(message(2, 0), 1);
    assert_eq!(script.chat.tally().of(Durable).violations, 1);
    script.now(0, Event::Acked { tag: message(0, 0), seq: 2, duplicate: true });
    assert_eq!(script.chat.tally().of(Once).violations, 1);
}

#[test]
fn a_message_that_was_given_up_may_be_stored_or_not() {
    for is_stored in [true, false] {
        let mut script = script();
        script.emit(message(0, 0));
        if is_stored {
            script.give(message(0, 0), 1, &[1, 2]);
        }
        breaks(script, &[]);
    }
}

#[test]
fn a_few_of_many_violations_are_kept() {
    let mut script = script();
    for seq in 1..=100 {
        script.now(2, Event::Received { tag: None, seq });
    }
    let count = script.chat.tally().of(Durable);
    assert_eq!((count.violations, count.kept.len()), (100, 5));
}

#[test]
fn what_is_settled_costs_eight_bytes_a_message() {
    let mut script = script();
    for index in 0..10_000 {
        script.send(2, index);
    }
    assert_eq!((script.chat.open(), script.chat.stored.len()), (0, 10_000));
    assert_eq!(script.chat.kept(), 0, "messages that may still change");
}

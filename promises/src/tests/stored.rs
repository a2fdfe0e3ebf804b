//! Messages that are lost, stored twice, elsewhere, or out of order.

use super::*;
use Promise::{Durable, Once, Ordered};

#[test]
fn an_acked_message_that_is_not_stored_is_found() {
    let mut script = Script::new();
    script.send(0, 0);
    script.facts = MatchFacts::default();
    script.breaks(&[Durable]);
}

/// Two messages of one client: emitted in this order, stored in the other.
fn stored_the_other_way_round() -> (Script, Tag, Tag) {
    let mut script = Script::new();
    let (one, two) = (message(0, 0), message(0, 1));
    script.emit(one);
    script.emit(two);
    script.store(two);
    script.store(one);
    (script, one, two)
}

#[test]
fn an_acked_message_that_is_stored_elsewhere_is_found() {
    let (mut script, one, two) = stored_the_other_way_round();
    script.ack(one, 1);
    script.ack(two, 2);
    script.give(one, 1, &[1, 2]);
    script.give(two, 2, &[1, 2]);
    script.breaks(&[Durable]);
}

#[test]
fn emits_of_one_connection_that_change_places_are_found() {
    let (mut script, one, two) = stored_the_other_way_round();
    script.ack(two, 1);
    script.ack(one, 2);
    script.give(two, 1, &[1, 2]);
    script.give(one, 2, &[1, 2]);
    script.breaks(&[Ordered]);
}

#[test]
fn a_body_that_nobody_sent_is_found_where_it_is_seen_and_where_it_is_stored() {
    let mut script = Script::new();
    script.now(2, Event::Received { tag: None, seq: 1 });
    script.facts = MatchFacts { last_seq: 1, rows: vec![Row { seq: 1, tag: None }], ..MatchFacts::default() };
    assert_eq!(script.conclude().of(Durable).violations, 2);
}

#[test]
fn a_stored_message_that_was_never_sent_is_found() {
    let mut script = Script::new();
    script.store(message(0, 7));
    assert_eq!(script.conclude().of(Durable).violations, 1);
}

#[test]
fn a_join_that_does_not_see_what_was_acked_is_found() {
    let mut script = Script::new();
    script.send(0, 0);
    script.now(2, Event::Left);
    script.now(2, Event::Joined { last_seq: 0, known: Known { highest: 1, ..Known::default() }, told: 0 });
    assert_eq!(script.conclude().of(Durable).violations, 1);
}

#[test]
fn a_message_that_is_stored_twice_is_found() {
    let mut script = Script::new();
    script.send(0, 0);
    script.store(message(0, 0));
    assert!(script.conclude().of(Once).violations > 0);
}

#[test]
fn a_repeat_with_two_seqs_is_found() {
    let mut script = Script::new();
    let tag = message(0, 0);
    script.emit(tag);
    script.emit(tag);
    script.now(0, Event::Acked { tag, seq: 1, duplicate: false });
    script.now(0, Event::Acked { tag, seq: 2, duplicate: true });
    script.now(0, Event::Settled { index: 0 });
    script.store(tag);
    script.store(tag);
    assert!(script.conclude().of(Once).violations > 0);
}

#[test]
fn two_acks_that_both_say_new_are_found() {
    let mut script = Script::new();
    let tag = message(0, 0);
    script.emit(tag);
    script.emit(tag);
    script.store(tag);
    script.now(0, Event::Acked { tag, seq: 1, duplicate: false });
    script.ack(tag, 1);
    script.give(tag, 1, &[1, 2]);
    script.breaks(&[Once]);
}

#[test]
fn a_conflict_with_nothing_is_found() {
    let mut script = Script::new();
    let tag = message(0, 0);
    script.emit(tag);
    script.now(0, Event::Refused { tag, code: Code::IdempotencyConflict });
    assert!(script.conclude().of(Once).violations > 0);
}

/// One message was emitted with two bodies.
fn two_bodies() -> (Script, Tag, Tag) {
    let mut script = Script::new();
    let (first, second) = (message(0, 0), Tag { variant: 1, ..message(0, 0) });
    script.emit(first);
    script.emit(second);
    (script, first, second)
}

#[test]
fn a_second_body_that_is_acked_is_found() {
    let (mut script, first, second) = two_bodies();
    script.store(first);
    script.now(0, Event::Acked { tag: first, seq: 1, duplicate: false });
    script.now(0, Event::Acked { tag: second, seq: 1, duplicate: true });
    script.now(0, Event::Settled { index: 0 });
    script.give(first, 1, &[1, 2]);
    script.breaks(&[Durable]);
}

#[test]
fn a_conflict_that_was_stored_is_found() {
    let (mut script, _, second) = two_bodies();
    script.now(0, Event::Refused { tag: second, code: Code::IdempotencyConflict });
    script.store(second);
    script.ack(second, 1);
    script.give(second, 1, &[1, 2]);
    script.breaks(&[Once]);
}

#[test]
fn a_gap_in_the_database_is_found() {
    let mut script = Script::new();
    script.send(0, 0);
    script.facts.last_seq = 2;
    script.emit(message(0, 1));
    script.ack(message(0, 1), 3);
    script.facts.rows.push(Row { seq: 3, tag: Some(message(0, 1)) });
    assert!(script.conclude().of(Ordered).violations > 0);
}

#[test]
fn a_message_below_one_that_was_acked_before_it_was_sent_is_found() {
    let mut script = Script::new();
    let (one, two) = (message(0, 0), message(2, 0));
    script.emit(one);
    script.store(two);
    script.store(one);
    script.ack(one, 2);
    script.emit(two);
    script.ack(two, 1);
    script.give(two, 1, &[0, 1]);
    script.give(one, 2, &[1, 2]);
    script.breaks(&[Ordered]);
}

//! One script per violation.

use proto::Code;

use super::*;
use Promise::{Answered, Calls, Delivered, Durable, Milestones, Once, Ordered};

#[test]
fn an_acked_message_that_is_not_stored_is_found() {
    let mut script = Script::new();
    script.send(0, 0);
    script.facts = MatchFacts::default();
    script.breaks(&[Durable]);
}

#[test]
fn an_acked_message_that_is_stored_elsewhere_is_found() {
    let mut script = Script::new();
    let (one, two) = (message(0, 0), message(0, 1));
    script.emit(one);
    script.emit(two);
    script.ack(one, 1);
    script.ack(two, 2);
    script.store(two);
    script.store(one);
    for (tag, seq) in [(one, 1), (two, 2)] {
        script.receive(1, tag, seq);
        script.receive(2, tag, seq);
    }
    script.breaks(&[Durable]);
}

#[test]
fn a_body_that_nobody_sent_is_found_where_it_is_seen_and_where_it_is_stored() {
    let mut script = Script::new();
    script.now(2, Event::Received { tag: None, seq: 1 });
    script.facts = MatchFacts { last_seq: 1, rows: vec![Row { seq: 1, tag: None }], milestones: vec![] };
    let tally = script.close();
    assert_eq!(tally.of(Durable).violations, 2);
}

#[test]
fn a_stored_message_that_was_never_sent_is_found() {
    let mut script = Script::new();
    script.store(message(0, 7));
    let tally = script.close();
    assert_eq!(tally.of(Durable).violations, 1);
}

#[test]
fn a_join_that_does_not_see_what_was_acked_is_found() {
    let mut script = Script::new();
    script.send(0, 0);
    script.now(2, Event::Left);
    script.now(2, Event::Joined { last_seq: 0, floor: 1, told: false });
    let tally = script.close();
    assert_eq!(tally.of(Durable).violations, 1);
}

#[test]
fn a_message_that_is_stored_twice_is_found() {
    let mut script = Script::new();
    script.send(0, 0);
    script.store(message(0, 0));
    assert!(script.close().of(Once).violations > 0);
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
    assert!(script.close().of(Once).violations > 0);
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
    script.receive(1, tag, 1);
    script.receive(2, tag, 1);
    script.breaks(&[Once]);
}

#[test]
fn a_conflict_with_nothing_is_found() {
    let mut script = Script::new();
    let tag = message(0, 0);
    script.emit(tag);
    script.now(0, Event::Refused { tag, code: Code::IdempotencyConflict });
    assert!(script.close().of(Once).violations > 0);
}

#[test]
fn a_second_body_that_is_acked_is_found() {
    let mut script = Script::new();
    let (first, second) = (message(0, 0), Tag { variant: 1, ..message(0, 0) });
    script.emit(first);
    script.emit(second);
    script.store(first);
    script.now(0, Event::Acked { tag: first, seq: 1, duplicate: false });
    script.now(0, Event::Acked { tag: second, seq: 1, duplicate: true });
    script.now(0, Event::Settled { index: 0 });
    script.receive(1, first, 1);
    script.receive(2, first, 1);
    script.breaks(&[Durable]);
}

#[test]
fn a_conflict_that_was_stored_is_found() {
    let mut script = Script::new();
    let (first, second) = (message(0, 0), Tag { variant: 1, ..message(0, 0) });
    script.emit(first);
    script.emit(second);
    script.now(0, Event::Refused { tag: second, code: Code::IdempotencyConflict });
    script.store(second);
    script.ack(second, 1);
    script.receive(1, second, 1);
    script.receive(2, second, 1);
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
    assert!(script.close().of(Ordered).violations > 0);
}

#[test]
fn emits_of_one_connection_that_change_places_are_found() {
    let mut script = Script::new();
    let (one, two) = (message(0, 0), message(0, 1));
    script.emit(one);
    script.emit(two);
    script.store(two);
    script.store(one);
    script.ack(two, 1);
    script.ack(one, 2);
    for (tag, seq) in [(two, 1), (one, 2)] {
        script.receive(1, tag, seq);
        script.receive(2, tag, seq);
    }
    script.breaks(&[Ordered]);
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
    script.receive(0, two, 1);
    script.receive(1, two, 1);
    script.receive(1, one, 2);
    script.receive(2, one, 2);
    script.breaks(&[Ordered]);
}

#[test]
fn a_message_that_is_left_out_is_found() {
    let mut script = Script::new();
    let (one, two) = (message(0, 0), message(0, 1));
    for tag in [one, two] {
        script.emit(tag);
        let seq = script.store(tag);
        script.ack(tag, seq);
        script.receive(1, tag, seq);
    }
    script.receive(2, two, 2);
    script.breaks(&[Delivered]);
}

#[test]
fn a_last_message_that_never_comes_is_found() {
    let mut script = Script::new();
    script.emit(message(0, 0));
    script.store(message(0, 0));
    script.ack(message(0, 0), 1);
    script.receive(2, message(0, 0), 1);
    script.breaks(&[Delivered]);
}

#[test]
fn a_message_that_comes_twice_or_late_is_found() {
    let mut script = Script::new();
    let seq = script.send(0, 0);
    script.receive(2, message(0, 0), seq);
    script.breaks(&[Delivered]);
}

#[test]
fn a_message_that_a_recovered_cursor_claims_is_found() {
    let mut script = Script::new();
    script.emit(message(0, 0));
    script.store(message(0, 0));
    script.ack(message(0, 0), 1);
    script.receive(1, message(0, 0), 1);
    script.now(2, Event::Disconnected);
    script.now(2, Event::Connected { recovered: true });
    script.now(2, Event::Resumed { seq: 1, told: false });
    script.breaks(&[Delivered]);
}

#[test]
fn a_message_that_comes_back_to_its_sender_is_found() {
    let mut script = Script::new();
    script.emit(message(0, 0));
    script.store(message(0, 0));
    script.receive(0, message(0, 0), 1);
    script.receive(1, message(0, 0), 1);
    script.receive(2, message(0, 0), 1);
    script.ack(message(0, 0), 1);
    script.breaks(&[Delivered]);
}

#[test]
fn a_message_saved_by_rest_that_comes_back_to_its_sender_is_found() {
    let mut script = Script::new();
    script.now(0, Event::Emitted { tag: message(0, 0), route: Route::Rest });
    script.store(message(0, 0));
    script.ack(message(0, 0), 1);
    script.receive(1, message(0, 0), 1);
    script.receive(2, message(0, 0), 1);
    script.breaks(&[Delivered]);
}

#[test]
fn a_message_to_a_chat_that_is_not_open_is_found() {
    let mut script = Script::new();
    script.now(2, Event::Left);
    script.send(0, 0);
    script.breaks(&[Delivered]);
}

#[test]
fn a_chat_that_a_recovery_forgets_and_a_broken_page_are_found() {
    let mut script = Script::new();
    script.now(2, Event::Forgotten);
    script.now(1, Event::PageBroken { expected: 3, found: 4 });
    assert_eq!(script.close().of(Delivered).violations, 2);
}

#[test]
fn a_milestone_that_is_told_twice_is_found() {
    let mut script = hundred();
    for slot in [0, 1, 2, 2] {
        script.now(slot, Event::Milestone);
    }
    script.breaks(&[Milestones]);
}

#[test]
fn a_milestone_that_a_recovered_socket_is_told_again_is_found() {
    let mut script = hundred();
    for slot in [0, 1, 2] {
        script.now(slot, Event::Milestone);
    }
    script.now(2, Event::Connected { recovered: true });
    script.now(2, Event::Resumed { seq: MILESTONE, told: true });
    script.now(2, Event::Milestone);
    script.breaks(&[Milestones]);
}

#[test]
fn a_milestone_that_is_never_told_is_found() {
    let mut script = hundred();
    for slot in [0, 1] {
        script.now(slot, Event::Milestone);
    }
    script.breaks(&[Milestones]);
}

#[test]
fn a_milestone_that_is_not_recorded_or_not_announced_is_found() {
    for milestones in [vec![], vec![reached(false)], vec![reached(true), reached(true)]] {
        let mut script = hundred();
        for slot in [0, 1, 2] {
            script.now(slot, Event::Milestone);
        }
        script.facts.milestones = milestones;
        script.breaks(&[Milestones]);
    }
}

fn hundred() -> Script {
    let mut script = Script::new();
    for index in 0..MILESTONE {
        script.send(2, index);
    }
    script.facts.milestones = vec![reached(true)];
    script
}

#[test]
fn a_message_that_is_never_answered_is_found() {
    let mut script = Script::new();
    script.emit(message(0, 0));
    script.breaks(&[Answered]);
}

#[test]
fn a_refusal_that_a_member_should_not_get_is_found() {
    let mut script = Script::new();
    script.emit(message(0, 0));
    script.now(0, Event::Refused { tag: message(0, 0), code: Code::MatchNotFound });
    script.now(0, Event::Settled { index: 0 });
    script.breaks(&[Answered]);
}

#[test]
fn two_acceptances_and_two_ends_of_one_call_are_found() {
    let mut script = Script::new();
    script.now(0, Event::CallAccepted { call: 1 });
    script.now(0, Event::CallAccepted { call: 1 });
    script.now(1, Event::CallEnded { call: 1, reason: crate::checker::calls::ELSEWHERE });
    script.now(0, Event::CallEnded { call: 1, reason: "completed" });
    script.now(2, Event::CallEnded { call: 1, reason: "completed" });
    assert_eq!(script.chat.violations(), 0);
    script.now(1, Event::CallAccepted { call: 1 });
    script.now(2, Event::CallEnded { call: 1, reason: "cancelled" });
    assert_eq!(script.close().of(Calls).violations, 2);
}

#[test]
fn a_device_that_took_a_call_and_hears_that_another_did_is_found_unless_it_was_reloaded() {
    for (reloaded, found) in [(false, 1), (true, 0)] {
        let mut script = Script::new();
        script.now(0, Event::CallAccepted { call: 1 });
        if reloaded {
            script.now(0, Event::Connected { recovered: false });
        }
        script.now(0, Event::CallEnded { call: 1, reason: crate::checker::calls::ELSEWHERE });
        script.now(2, Event::CallEnded { call: 1, reason: "completed" });
        assert_eq!(script.close().of(Calls).violations, found);
    }
}

#[test]
fn a_violation_comes_with_what_led_to_it() {
    let mut script = Script::new();
    let seq = script.send(0, 0);
    script.send(2, 0);
    script.receive(2, message(0, 0), seq);
    let tally = script.close();
    let trace = &tally.of(Delivered).kept[0].trace;
    assert!(trace.iter().any(|line| line.contains("Emitted")), "{trace:#?}");
    assert_eq!(trace.iter().filter(|line| line.contains("client 2  Received")).count(), 2, "{trace:#?}");
}

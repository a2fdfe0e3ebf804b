//! Messages that come twice, late, to the wrong ones, or not at all.

use super::*;
use Promise::Delivered;

#[test]
fn a_message_that_is_left_out_is_found() {
    let mut script = Script::new();
    script.send_to(message(0, 0), &[1]);
    script.send_to(message(0, 1), &[1, 2]);
    script.breaks(&[Delivered]);
}

#[test]
fn a_last_message_that_never_comes_is_found() {
    let mut script = Script::new();
    script.send_to(message(0, 0), &[2]);
    script.breaks(&[Delivered]);
}

#[test]
fn a_message_that_comes_twice_or_late_is_found() {
    let mut script = Script::new();
    let seq = script.send(0, 0);
    script.give(message(0, 0), seq, &[2]);
    script.breaks(&[Delivered]);
}

#[test]
fn a_message_that_a_recovered_cursor_claims_is_found() {
    let mut script = Script::new();
    let seq = script.send_to(message(0, 0), &[1]);
    script.now(2, Event::Disconnected);
    script.recover(2, seq, 0);
    script.breaks(&[Delivered]);
}

#[test]
fn a_cursor_that_is_beyond_every_seq_is_found() {
    let mut script = Script::new();
    script.recover(2, u32::MAX, 0);
    script.breaks(&[Delivered]);
}

#[test]
fn a_message_that_comes_back_to_its_sender_is_found() {
    let mut script = Script::new();
    script.emit(message(0, 0));
    let seq = script.store(message(0, 0));
    script.give(message(0, 0), seq, &[0, 1, 2]);
    script.ack(message(0, 0), seq);
    script.breaks(&[Delivered]);
}

#[test]
fn a_message_saved_by_rest_that_comes_back_to_its_sender_is_found() {
    let mut script = Script::new();
    script.now(0, Event::Emitted { tag: message(0, 0), route: Route::Rest });
    let seq = script.store(message(0, 0));
    script.ack(message(0, 0), seq);
    script.give(message(0, 0), seq, &[1, 2]);
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
    assert_eq!(script.conclude().of(Delivered).violations, 2);
}

#[test]
fn a_violation_comes_with_what_led_to_it() {
    let mut script = Script::new();
    let seq = script.send(0, 0);
    script.send(2, 0);
    script.give(message(0, 0), seq, &[2]);
    let tally = script.conclude();
    let trace = &tally.of(Delivered).kept[0].trace;
    assert!(trace.iter().any(|line| line.contains("Emitted")), "{trace:#?}");
    assert_eq!(trace.iter().filter(|line| line.contains("client 2  Received")).count(), 2, "{trace:#?}");
}

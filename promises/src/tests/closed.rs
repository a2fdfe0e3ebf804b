//! Matches that are closed without being asked to, in silence, or not for good.

use super::*;
use Promise::{Answered, Closed, Delivered};

const ALL: [u8; 3] = [0, 1, 2];

/// The app server closes the match, and these clients are told.
fn close(script: &mut Script, told: &[u8]) {
    script.now(APP_SERVER, Event::CloseAsked);
    script.now(APP_SERVER, Event::Closed);
    script.facts.is_closed = true;
    script.each(told, Event::ToldClosed);
}

/// A match that is closed, as everybody knows.
fn closed() -> Script {
    let mut script = Script::new();
    close(&mut script, &ALL);
    script
}

#[test]
fn a_close_that_is_kept_has_no_violation() {
    let mut script = Script::new();
    let (late, later) = (message(0, 1), message(2, 0));
    script.send(0, 0);
    script.emit(late);
    close(&mut script, &[]);
    assert!(script.chat.awaits_close());
    script.each(&ALL, Event::ToldClosed);
    assert!(!script.chat.awaits_close());
    script.refuse(late, Code::MatchClosed);
    script.emit(later);
    script.refuse(later, Code::MatchClosed);
    script.now(1, Event::JoinRefused { code: Code::MatchClosed });
    script.breaks(&[]);
}

#[test]
fn a_message_that_was_under_way_may_be_stored_or_not() {
    let mut script = Script::new();
    script.emit(message(0, 0));
    script.now(APP_SERVER, Event::CloseAsked);
    script.store(message(0, 0));
    close(&mut script, &ALL);
    script.ack(message(0, 0), 1);
    script.breaks(&[]);
}

#[test]
fn a_close_that_nobody_asked_for_is_found() {
    let mut script = Script::new();
    script.now(0, Event::ToldClosed);
    script.breaks(&[Closed]);
    let mut script = Script::new();
    script.emit(message(0, 0));
    script.refuse(message(0, 0), Code::MatchClosed);
    assert!(script.conclude().of(Closed).violations > 0);
    let mut script = Script::new();
    script.facts.is_closed = true;
    script.breaks(&[Closed]);
}

#[test]
fn a_close_of_which_somebody_hears_nothing_is_found() {
    let mut script = Script::new();
    close(&mut script, &[0, 1]);
    script.breaks(&[Closed]);
    let mut script = Script::new();
    script.now(APP_SERVER, Event::CloseAsked);
    script.each(&ALL, Event::Left);
    script.breaks(&[Closed]);
}

#[test]
fn a_close_that_the_app_server_never_hears_of_is_found_though_the_members_do() {
    let mut script = Script::new();
    script.now(APP_SERVER, Event::CloseAsked);
    script.each(&ALL, Event::ToldClosed);
    assert!(script.chat.awaits_close());
    script.facts.is_closed = true;
    script.breaks(&[Closed]);
}

#[test]
fn a_match_that_is_open_again_is_found() {
    let mut script = closed();
    script.facts.is_closed = false;
    script.breaks(&[Closed]);
}

#[test]
fn a_message_that_is_taken_after_the_close_is_found() {
    let mut script = closed();
    script.send_to(message(0, 0), &[]);
    script.breaks(&[Closed]);
}

#[test]
fn a_message_that_was_refused_and_is_stored_is_found() {
    for seen_by in [&[2_u8][..], &[]] {
        let mut script = Script::new();
        script.emit(message(0, 0));
        close(&mut script, &[]);
        let seq = script.store(message(0, 0));
        script.give(message(0, 0), seq, seen_by);
        script.each(&ALL, Event::ToldClosed);
        script.refuse(message(0, 0), Code::MatchClosed);
        script.breaks(&[Closed]);
    }
}

#[test]
fn a_message_that_is_younger_than_the_end_is_found() {
    let mut script = Script::new();
    script.send(0, 0);
    close(&mut script, &ALL);
    script.facts.stored_late = 1;
    script.breaks(&[Closed]);
}

#[test]
fn a_join_and_a_delivery_after_the_close_are_found() {
    let mut script = closed();
    let known = script.chat.known();
    script.now(0, Event::Joined { last_seq: 0, known, told: 0 });
    script.now(0, Event::ToldClosed);
    script.breaks(&[Closed]);
    let mut script = Script::new();
    script.emit(message(0, 0));
    close(&mut script, &ALL);
    script.store(message(0, 0));
    script.ack(message(0, 0), 1);
    script.give(message(0, 0), 1, &[2]);
    script.breaks(&[Delivered]);
}

#[test]
fn another_code_than_that_of_a_closed_match_is_found() {
    for code in [Code::MatchNotFound, Code::NotJoined] {
        let mut script = closed();
        script.emit(message(0, 0));
        script.refuse(message(0, 0), code);
        script.now(1, Event::JoinRefused { code });
        script.breaks(&[Answered]);
    }
}

//! Matches that are closed without being asked to, in silence, or not for good.

use proto::Code;

use super::*;
use Promise::{Answered, Closed};

fn close(script: &mut Script) {
    script.now(APP_SERVER, Event::CloseAsked);
    script.now(APP_SERVER, Event::Closed);
    script.facts.is_closed = true;
}

fn tell(script: &mut Script, slots: &[u8]) {
    for slot in slots {
        script.now(*slot, Event::ToldClosed);
    }
}

fn refuse(script: &mut Script, tag: Tag) {
    script.now(tag.slot, Event::Refused { tag, code: Code::MatchClosed });
    script.now(tag.slot, Event::Settled { index: tag.index });
}

#[test]
fn a_close_that_is_kept_has_no_violation() {
    let mut script = Script::new();
    let (late, later) = (message(0, 1), message(2, 0));
    script.send(0, 0);
    script.emit(late);
    close(&mut script);
    assert!(script.chat.awaits_close());
    tell(&mut script, &[0, 1, 2]);
    assert!(!script.chat.awaits_close());
    refuse(&mut script, late);
    script.emit(later);
    refuse(&mut script, later);
    script.now(1, Event::JoinRefused { code: Code::MatchClosed });
    script.breaks(&[]);
}

#[test]
fn a_message_that_was_under_way_may_be_stored_or_not() {
    let mut script = Script::new();
    script.emit(message(0, 0));
    script.now(APP_SERVER, Event::CloseAsked);
    script.store(message(0, 0));
    close(&mut script);
    tell(&mut script, &[0, 1, 2]);
    script.ack(message(0, 0), 1);
    script.breaks(&[]);
}

#[test]
fn a_close_that_nobody_asked_for_is_found() {
    let mut script = Script::new();
    tell(&mut script, &[0]);
    script.breaks(&[Closed]);
    let mut script = Script::new();
    script.emit(message(0, 0));
    refuse(&mut script, message(0, 0));
    assert!(script.conclude().of(Closed).violations > 0);
    let mut script = Script::new();
    script.facts.is_closed = true;
    script.breaks(&[Closed]);
}

#[test]
fn a_close_of_which_somebody_hears_nothing_is_found() {
    let mut script = Script::new();
    close(&mut script);
    tell(&mut script, &[0, 1]);
    script.breaks(&[Closed]);
    let mut script = Script::new();
    script.now(APP_SERVER, Event::CloseAsked);
    for slot in 0..3 {
        script.now(slot, Event::Left);
    }
    script.breaks(&[Closed]);
}

#[test]
fn a_close_that_the_app_server_never_hears_of_is_found_though_the_members_do() {
    let mut script = Script::new();
    script.now(APP_SERVER, Event::CloseAsked);
    tell(&mut script, &[0, 1, 2]);
    assert!(script.chat.awaits_close());
    script.facts.is_closed = true;
    script.breaks(&[Closed]);
}

#[test]
fn a_match_that_is_open_again_is_found() {
    let mut script = Script::new();
    close(&mut script);
    tell(&mut script, &[0, 1, 2]);
    script.facts.is_closed = false;
    script.breaks(&[Closed]);
}

#[test]
fn a_message_that_is_taken_after_the_close_is_found() {
    let mut script = Script::new();
    close(&mut script);
    tell(&mut script, &[0, 1, 2]);
    script.emit(message(0, 0));
    script.store(message(0, 0));
    script.ack(message(0, 0), 1);
    script.breaks(&[Closed]);
}

#[test]
fn a_message_that_was_refused_and_is_stored_is_found() {
    for is_seen in [true, false] {
        let mut script = Script::new();
        script.emit(message(0, 0));
        close(&mut script);
        script.store(message(0, 0));
        if is_seen {
            script.receive(2, message(0, 0), 1);
        }
        tell(&mut script, &[0, 1, 2]);
        refuse(&mut script, message(0, 0));
        script.breaks(&[Closed]);
    }
}

#[test]
fn a_message_that_is_younger_than_the_end_is_found() {
    let mut script = Script::new();
    script.send(0, 0);
    close(&mut script);
    tell(&mut script, &[0, 1, 2]);
    script.facts.stored_late = 1;
    script.breaks(&[Closed]);
}

#[test]
fn a_join_and_a_delivery_after_the_close_are_found() {
    let mut script = Script::new();
    close(&mut script);
    tell(&mut script, &[0, 1, 2]);
    let known = script.chat.known();
    script.now(0, Event::Joined { last_seq: 0, known, told: 0 });
    tell(&mut script, &[0]);
    script.breaks(&[Closed]);
    let mut script = Script::new();
    script.emit(message(0, 0));
    close(&mut script);
    tell(&mut script, &[0, 1, 2]);
    script.store(message(0, 0));
    script.ack(message(0, 0), 1);
    script.receive(2, message(0, 0), 1);
    script.breaks(&[Promise::Delivered]);
}

#[test]
fn another_code_than_that_of_a_closed_match_is_found() {
    for code in [Code::MatchNotFound, Code::NotJoined] {
        let mut script = Script::new();
        close(&mut script);
        tell(&mut script, &[0, 1, 2]);
        script.emit(message(0, 0));
        script.now(0, Event::Refused { tag: message(0, 0), code });
        script.now(0, Event::Settled { index: 0 });
        script.now(1, Event::JoinRefused { code });
        script.breaks(&[Answered]);
    }
}

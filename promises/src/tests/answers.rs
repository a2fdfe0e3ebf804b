//! Answers that never come, or that a member should not get; calls on which the two do not agree.

use super::*;
use Promise::{Answered, Calls};

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
    script.refuse(message(0, 0), Code::MatchNotFound);
    script.breaks(&[Answered]);
}

#[test]
fn two_acceptances_and_two_ends_of_one_call_are_found() {
    let mut script = Script::new();
    script.now(0, Event::CallAccepted { call: 1 });
    script.now(0, Event::CallAccepted { call: 1 });
    script.now(1, Event::CallEnded { call: 1, reason: ELSEWHERE });
    script.now(0, Event::CallEnded { call: 1, reason: "completed" });
    script.now(2, Event::CallEnded { call: 1, reason: "completed" });
    assert_eq!(script.chat.tally().violations(), 0);
    script.now(1, Event::CallAccepted { call: 1 });
    script.now(2, Event::CallEnded { call: 1, reason: "cancelled" });
    assert_eq!(script.conclude().of(Calls).violations, 2);
}

#[test]
fn a_page_that_gets_another_pid_takes_its_call_over_and_a_reloaded_one_does_not() {
    for (reloaded, found) in [(false, 0), (true, 1)] {
        let mut script = Script::new();
        script.now(0, Event::CallAccepted { call: 1 });
        if reloaded {
            script.now(0, Event::Reloaded);
        }
        script.now(0, Event::Connected { recovered: false });
        script.now(0, Event::CallAccepted { call: 1 });
        assert_eq!(script.conclude().of(Calls).violations, found);
    }
}

#[test]
fn a_device_that_took_a_call_and_hears_that_another_did_is_found_unless_it_was_reloaded() {
    for (reloaded, found) in [(false, 1), (true, 0)] {
        let mut script = Script::new();
        script.now(0, Event::CallAccepted { call: 1 });
        if reloaded {
            script.now(0, Event::Reloaded);
            script.now(0, Event::Connected { recovered: false });
        }
        script.now(0, Event::CallEnded { call: 1, reason: ELSEWHERE });
        script.now(2, Event::CallEnded { call: 1, reason: "completed" });
        assert_eq!(script.conclude().of(Calls).violations, found);
    }
}

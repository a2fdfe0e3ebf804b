//! A guest, who is a member only sometimes.

use super::*;
use Promise::{Answered, Delivered};

const GUEST_SLOT: u8 = 3;

/// A match with a guest on a device of its own.
fn script() -> Script {
    let mut script = Script::new();
    let sides = [script.chat.sides.clone(), vec![GUEST]].concat();
    script.chat = Chat::new("match".to_owned(), sides, script.chat.rules);
    script.each(&[0, 1, 2], Event::Joined { last_seq: 0, known: Known::default(), told: 0 });
    script
}

fn join(script: &mut Script, last_seq: u32) {
    script.now(GUEST_SLOT, Event::Joined { last_seq, known: script.chat.known(), told: 0 });
}

#[test]
fn a_guest_misses_what_is_said_while_it_is_out_and_may_be_refused() {
    let mut script = script();
    script.now(GUEST_SLOT, Event::JoinRefused { code: Code::MatchNotFound });
    join(&mut script, 0);
    let seq = script.send(0, 0);
    script.give(message(0, 0), seq, &[GUEST_SLOT]);
    script.now(GUEST_SLOT, Event::ToldRemoved);
    script.send(0, 1);
    script.emit(message(GUEST_SLOT, 0));
    script.refuse(message(GUEST_SLOT, 0), Code::MatchNotFound);
    script.facts.removed = vec![GUEST_SLOT];
    script.breaks(&[]);
}

#[test]
fn what_a_guest_was_refused_may_have_been_stored_before() {
    let mut script = script();
    let unclear = message(GUEST_SLOT, 0);
    script.emit(unclear);
    let seq = script.store(unclear);
    script.refuse(unclear, Code::MatchNotFound);
    script.give(unclear, seq, &[0, 1, 2]);
    script.facts.removed = vec![GUEST_SLOT];
    script.breaks(&[]);
}

#[test]
fn a_removal_that_is_not_told_and_what_comes_behind_one_are_found() {
    let mut script = script();
    join(&mut script, 0);
    script.facts.removed = vec![GUEST_SLOT];
    script.breaks(&[Delivered]);
    let mut script = self::script();
    join(&mut script, 0);
    script.now(GUEST_SLOT, Event::ToldRemoved);
    let seq = script.send(0, 0);
    script.give(message(0, 0), seq, &[GUEST_SLOT]);
    script.breaks(&[Delivered]);
}

#[test]
fn a_member_who_is_taken_for_a_guest_is_found() {
    let mut script = script();
    script.now(0, Event::ToldRemoved);
    script.breaks(&[Delivered]);
    let mut script = self::script();
    script.now(0, Event::JoinRefused { code: Code::MatchNotFound });
    script.breaks(&[Answered]);
}

//! Milestones that are told twice, never, or without reason.

use super::*;
use Promise::Milestones;

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
fn a_milestone_that_a_cursor_forgets_is_found() {
    let mut script = hundred();
    for slot in [0, 1, 2] {
        script.now(slot, Event::Milestone);
    }
    script.now(2, Event::Connected { recovered: true });
    script.now(2, Event::Resumed { seq: MILESTONE, told: false });
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

#[test]
fn a_milestone_that_nobody_can_have_reached_is_found() {
    let mut script = Script::new();
    for index in 0..MILESTONE - 1 {
        script.send(2, index);
    }
    for slot in [0, 1, 2] {
        script.now(slot, Event::Milestone);
    }
    script.send(2, MILESTONE - 1);
    script.facts.milestones = vec![reached(true)];
    script.breaks(&[Milestones]);
}

fn hundred() -> Script {
    let mut script = Script::new();
    for index in 0..MILESTONE {
        script.send(2, index);
    }
    script.facts.milestones = vec![reached(true)];
    script
}

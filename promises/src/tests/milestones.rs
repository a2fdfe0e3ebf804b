//! Milestones that are told twice, never, or without reason.

use super::*;
use Promise::Milestones;

const TOLD: Event = Event::Milestone { ord: 1 };

/// The milestone is reached, and these clients are told.
fn reached_and_told(slots: &[u8]) -> Script {
    let mut script = Script::new();
    for index in 0..MILESTONE {
        script.send(2, index);
    }
    script.facts.milestones = vec![reached(true)];
    script.each(slots, TOLD);
    script
}

#[test]
fn a_milestone_that_is_told_twice_is_found() {
    reached_and_told(&[0, 1, 2, 2]).breaks(&[Milestones]);
}

#[test]
fn a_milestone_that_a_recovered_socket_is_told_again_is_found() {
    let mut script = reached_and_told(&[0, 1, 2]);
    script.recover(2, MILESTONE, 1);
    script.now(2, TOLD);
    script.breaks(&[Milestones]);
}

#[test]
fn a_milestone_that_a_cursor_forgets_is_found() {
    let mut script = reached_and_told(&[0, 1, 2]);
    script.recover(2, MILESTONE, 0);
    script.now(2, TOLD);
    script.breaks(&[Milestones]);
}

#[test]
fn a_milestone_that_is_never_told_is_found() {
    reached_and_told(&[0, 1]).breaks(&[Milestones]);
}

#[test]
fn a_milestone_that_is_not_recorded_or_not_announced_is_found() {
    for milestones in [vec![], vec![reached(false)], vec![reached(true), reached(true)]] {
        let mut script = reached_and_told(&[0, 1, 2]);
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
    script.each(&[0, 1, 2], TOLD);
    script.send(2, MILESTONE - 1);
    script.facts.milestones = vec![reached(true)];
    script.breaks(&[Milestones]);
}

/// Milestones at every second message.
const SEVERAL: Rules = Rules { milestones: &[2, 4, 6], told_once: true, ..RULES };

fn several(messages: u32) -> Script {
    let mut script = Script::with(SEVERAL);
    for index in 0..messages {
        script.send(2, index);
    }
    let reached = SEVERAL.milestones.iter().filter(|seq| **seq <= messages);
    script.facts.milestones = reached.map(|seq| MilestoneRow { seq: *seq, announced: true }).collect();
    script
}

fn tell(script: &mut Script, slots: &[u8], ords: &[u16]) {
    for ord in ords {
        script.each(slots, Event::Milestone { ord: *ord });
    }
}

#[test]
fn several_milestones_are_told_one_after_the_other() {
    let cases: [(&[u16], bool, &[Promise]); 3] =
        [(&[1, 2], true, &[]), (&[1], false, &[Milestones]), (&[2], true, &[Milestones])];
    for (told, has_caught_up, broken) in cases {
        let mut script = several(5);
        tell(&mut script, &[0, 1], &[1, 2]);
        tell(&mut script, &[2], told);
        assert_eq!(script.chat.has_caught_up(2), has_caught_up, "{told:?}");
        script.breaks(broken);
    }
}

#[test]
fn a_milestone_that_does_not_exist_is_found() {
    for ord in [0, 4] {
        let mut script = several(6);
        tell(&mut script, &[0, 1, 2], &[1, 2, 3]);
        tell(&mut script, &[0], &[ord]);
        script.breaks(&[Milestones]);
    }
}

#[test]
fn a_milestone_that_another_connection_is_told_again_is_found_where_a_client_is_told_once() {
    for told_once in [true, false] {
        let mut script = Script::with(Rules { told_once, ..SEVERAL });
        script.send(2, 0);
        script.send(2, 1);
        for _ in 0..2 {
            script.now(0, Event::Connected { recovered: false });
            tell(&mut script, &[0], &[1]);
        }
        assert_eq!(script.chat.tally().of(Milestones).violations, u64::from(told_once));
    }
}

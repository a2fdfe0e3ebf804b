//! The promises hold in thousands of schedules, and each mistake that somebody could make is found.

#![allow(clippy::expect_used, clippy::print_stdout)]

use std::thread::available_parallelism;

use simulation::{Campaign, Mistake, Promise};

/// Where the seeds of the test begin; a long run takes others.
const FIRST_SEED: u64 = 1;
/// What takes some seconds on two processors.
const SCHEDULES: u64 = 3_000;
/// Within so many schedules a planted mistake has to show.
const SCHEDULES_TO_A_MISTAKE: u64 = 20_000;

fn campaign(mistake: Option<Mistake>, schedules: u64) -> Campaign {
    let threads = available_parallelism().map_or(1, usize::from);
    Campaign { seed: FIRST_SEED, schedules, threads, mistake }
}

/// The promises that a planted mistake may break.
fn found(mistake: Mistake, broken: &[Promise]) {
    let failure = campaign(Some(mistake), SCHEDULES_TO_A_MISTAKE).run(|_| {}).expect_err("the mistake is not found");
    assert!(broken.contains(&failure.violation.promise), "{failure}");
    assert!(!failure.trace.is_empty());
    println!(
        "{mistake:?} is found by seed {}: {}, in {} steps",
        failure.seed,
        failure.violation,
        failure.smallest.steps.len()
    );
}

#[test]
fn the_promises_hold_in_thousands_of_schedules() {
    match campaign(None, SCHEDULES).run(|_| {}) {
        Ok(figures) => assert!(figures.acked > SCHEDULES && figures.delivered > SCHEDULES, "{figures:?}"),
        Err(failure) => panic!("{failure}"),
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let traces = [(); 2].map(|()| simulation::run(&simulation::Schedule::of(42), None, true).trace);
    assert!(traces[0].len() > 50);
    assert_eq!(traces[0], traces[1]);
}

#[test]
fn an_ack_before_the_commit_is_found() {
    // What was acked and lost may be sent again, and is then stored at another seq.
    found(Mistake::AckBeforeCommit, &[Promise::Durable, Promise::Once]);
}

#[test]
fn what_is_left_waiting_in_a_lane_is_found() {
    found(Mistake::ForgetWaiting, &[Promise::Answered]);
}

#[test]
fn a_store_without_unique_keys_is_found() {
    found(Mistake::NoDedupe, &[Promise::Once]);
}

#[test]
fn a_change_that_takes_the_place_of_the_last_one_is_found() {
    found(Mistake::ForgetRev, &[Promise::Milestones, Promise::Closed]);
}

#[test]
fn a_milestone_that_is_recorded_again_is_found() {
    found(Mistake::ChangeAgain, &[Promise::Milestones]);
}

#[test]
fn a_repeat_with_new_ids_is_found() {
    found(Mistake::NewIdsOnRetry, &[Promise::Once, Promise::Durable]);
}

#[test]
fn sends_that_overtake_each_other_are_found() {
    found(Mistake::NoTurns, &[Promise::Ordered]);
}

#[test]
fn a_message_delivered_twice_is_found() {
    found(Mistake::NoDrop, &[Promise::Delivered, Promise::Milestones]);
}

#[test]
fn a_message_delivered_before_an_earlier_one_is_found() {
    found(Mistake::NoHold, &[Promise::Delivered]);
}

#[test]
fn a_gap_that_is_never_healed_is_found() {
    found(Mistake::NoHealing, &[Promise::Delivered, Promise::Milestones]);
}

#[test]
fn heads_that_are_never_compared_are_found() {
    found(Mistake::NoComparison, &[Promise::Delivered, Promise::Milestones]);
}

#[test]
fn what_a_join_forgets_is_found() {
    found(Mistake::ForgetHeld, &[Promise::Delivered]);
}

#[test]
fn own_messages_that_come_back_are_found() {
    found(Mistake::OwnMessages, &[Promise::Delivered]);
}

#[test]
fn a_recovery_that_believes_strangers_is_found() {
    found(Mistake::NoMembership, &[Promise::Secret]);
}

#[test]
fn a_stranger_who_may_join_is_found() {
    found(Mistake::OpenDoors, &[Promise::Secret]);
}

#[test]
fn a_counter_that_counts_events_is_found() {
    found(Mistake::CountEvents, &[Promise::Milestones]);
}

#[test]
fn an_event_that_is_forgotten_when_the_stream_is_away_is_found() {
    found(Mistake::ForgetUnpublished, &[Promise::Milestones]);
}

#[test]
fn what_a_dead_replica_left_unpublished_is_found() {
    found(Mistake::ForgetTheDead, &[Promise::Milestones]);
}

#[test]
fn a_milestone_told_twice_is_found() {
    found(Mistake::NoTold, &[Promise::Milestones]);
}

#[test]
fn a_milestone_told_again_at_another_gateway_is_found() {
    found(Mistake::ToldElsewhere, &[Promise::Milestones]);
}

#[test]
fn a_typist_who_is_shown_for_ever_is_found() {
    found(Mistake::NoExpiry, &[Promise::Delivered]);
}

#[test]
fn a_step_of_a_call_that_is_told_twice_is_found() {
    found(Mistake::CallsAgain, &[Promise::Delivered]);
}

#[test]
fn a_step_of_a_call_that_another_gateway_tells_again_is_found() {
    found(Mistake::ForgetCalls, &[Promise::Delivered]);
}

#[test]
fn an_end_of_a_call_that_is_lost_while_a_device_is_away_is_found() {
    found(Mistake::ForgetEnds, &[Promise::Delivered]);
}

#[test]
fn a_change_before_the_message_that_it_follows_is_found() {
    found(Mistake::EarlyChanges, &[Promise::Delivered, Promise::Milestones]);
}

#[test]
fn a_refusal_that_is_not_answered_is_found() {
    found(Mistake::SilentRefusals, &[Promise::Answered]);
}

#[test]
fn members_who_are_remembered_after_they_were_removed_are_found() {
    found(Mistake::ForgetMembers, &[Promise::Secret]);
}

#[test]
fn a_chat_that_who_was_removed_keeps_is_found() {
    found(Mistake::KeepRemoved, &[Promise::Delivered, Promise::Secret]);
}

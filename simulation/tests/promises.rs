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

fn found(mistake: Mistake, broken: &[Promise]) {
    let failure = campaign(Some(mistake), SCHEDULES_TO_A_MISTAKE).run(|_| {}).expect_err("the mistake is not found");
    assert!(broken.contains(&failure.violation.promise), "{failure}");
    assert!(!failure.trace.is_empty());
    println!("{mistake:?} is found by seed {}: {}\n{}", failure.seed, failure.violation, failure.smallest);
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

/// A test for each mistake: it is found, as it breaks one of these promises.
macro_rules! mistakes_are_found {
    ($($test:ident: $mistake:ident breaks $($promise:ident)|+;)+) => {$(
        #[test]
        fn $test() {
            found(Mistake::$mistake, &[$(Promise::$promise),+]);
        }
    )+};
}

mistakes_are_found! {
    // What was acked and lost may be sent again, and is then stored at another seq.
    an_ack_before_the_commit_is_found: AckBeforeCommit breaks Durable | Once;
    what_is_left_waiting_in_a_lane_is_found: ForgetWaiting breaks Answered;
    a_store_without_unique_keys_is_found: NoDedupe breaks Once;
    a_change_that_takes_the_place_of_the_last_one_is_found: ForgetRev breaks Milestones | Closed | Changes;
    a_milestone_that_is_recorded_again_is_found: ChangeAgain breaks Milestones;
    a_repeat_that_undoes_what_came_later_is_found: ForgetCommands breaks Changes;
    a_repeat_with_new_ids_is_found: NewIdsOnRetry breaks Once | Durable;
    sends_that_overtake_each_other_are_found: NoTurns breaks Ordered;
    a_message_delivered_twice_is_found: NoDrop breaks Delivered | Milestones | Changes;
    a_message_delivered_before_an_earlier_one_is_found: NoHold breaks Delivered;
    a_gap_that_is_never_healed_is_found: NoHealing breaks Delivered | Milestones | Changes;
    heads_that_are_never_compared_are_found: NoComparison breaks Delivered | Milestones | Changes;
    what_a_join_forgets_is_found: ForgetHeld breaks Delivered;
    own_messages_that_come_back_are_found: OwnMessages breaks Delivered;
    a_recovery_that_believes_strangers_is_found: NoMembership breaks Secret;
    a_stranger_who_may_join_is_found: OpenDoors breaks Secret;
    a_counter_that_counts_events_is_found: CountEvents breaks Milestones;
    an_event_that_is_forgotten_when_the_stream_is_away_is_found: ForgetUnpublished breaks Milestones;
    what_a_dead_replica_left_unpublished_is_found: ForgetTheDead breaks Milestones;
    a_milestone_told_twice_is_found: NoTold breaks Milestones;
    a_milestone_told_again_at_another_gateway_is_found: ToldElsewhere breaks Milestones;
    a_typist_who_is_shown_for_ever_is_found: NoExpiry breaks Delivered;
    a_step_of_a_call_that_is_told_twice_is_found: CallsAgain breaks Delivered;
    a_step_of_a_call_that_another_gateway_tells_again_is_found: ForgetCalls breaks Delivered;
    an_end_of_a_call_that_is_lost_while_a_device_is_away_is_found: ForgetEnds breaks Delivered;
    a_change_before_the_message_that_it_follows_is_found: EarlyChanges breaks Delivered | Milestones | Changes;
    a_refusal_that_is_not_answered_is_found: SilentRefusals breaks Answered;
    members_who_are_remembered_after_they_were_removed_are_found: ForgetMembers breaks Secret;
    a_chat_that_who_was_removed_keeps_is_found: KeepRemoved breaks Delivered | Secret;
}

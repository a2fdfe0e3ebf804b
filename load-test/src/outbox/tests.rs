//! What the outbox does with acks, refusals, silence and lost connections.

use proptest::prelude::*;

use super::*;
use crate::arrivals::Spacing;

const MS: Duration = Duration::from_millis(1);
const RULES: SendRules = SendRules { window: 1, attempts: 3, ack_timeout: Duration::from_secs(1) };

/// An outbox that sends 10 a second for 10 s.
fn started(rules: SendRules) -> Outbox {
    let mut outbox = Outbox::new(rules);
    outbox.start(Arrivals::new(Spacing::Constant, 10.0, (Duration::ZERO, Duration::from_secs(10)), 1));
    outbox
}

fn emitted(step: Option<Step>) -> (u32, u32) {
    match step {
        Some(Step::Emit { tag, attempt }) => (tag.index, attempt),
        other => panic!("expected an emission, got {other:?}"),
    }
}

#[test]
fn nothing_is_sent_before_its_time() {
    let mut outbox = started(RULES);
    let first = outbox.send_at().unwrap();
    assert_eq!(outbox.poll(first.saturating_sub(MS)), None);
    assert_eq!(emitted(outbox.poll(first)), (0, 1));
}

#[test]
fn the_intended_time_does_not_wait_for_acks() {
    let mut outbox = started(RULES);
    let first = outbox.send_at().unwrap();
    outbox.poll(first);
    outbox.settle(0);
    let Some(Step::Emit { tag, .. }) = outbox.poll(first + 950 * MS) else { panic!("the second is due") };
    assert!(tag.intended <= first + 101 * MS);
}

#[test]
fn only_a_window_is_in_flight() {
    let mut outbox = started(SendRules { window: 2, ..RULES });
    let late = Duration::from_millis(900);
    assert_eq!([emitted(outbox.poll(late)), emitted(outbox.poll(late))], [(0, 1), (1, 1)]);
    assert_eq!(outbox.poll(late), None);
    outbox.settle(0);
    assert_eq!(emitted(outbox.poll(late)), (2, 1));
}

#[test]
fn a_silent_server_gets_the_same_message_again_and_then_it_is_given_up() {
    let mut outbox = started(RULES);
    let mut now = Duration::from_millis(500);
    for attempt in 1..=3 {
        assert_eq!(emitted(outbox.poll(now)), (0, attempt));
        now += RULES.ack_timeout;
        assert_eq!(outbox.poll(now), Some(if attempt < 3 { Step::TimedOut } else { Step::GaveUp }));
    }
    assert_eq!(emitted(outbox.poll(now)), (1, 1));
}

#[test]
fn a_retryable_refusal_waits_as_long_as_the_server_says() {
    let mut outbox = started(RULES);
    let now = Duration::from_millis(500);
    outbox.poll(now);
    outbox.retry(0, now, Some(250 * MS));
    assert_eq!(outbox.poll(now + 249 * MS), None);
    assert_eq!((outbox.repeat_at(), outbox.send_at()), (Some(now + 250 * MS), None));
    assert_eq!(emitted(outbox.poll(now + 250 * MS)), (0, 2));
}

#[test]
fn a_new_connection_repeats_what_was_in_flight_in_order() {
    let mut outbox = started(SendRules { window: 3, ..RULES });
    let now = Duration::from_millis(900);
    while outbox.poll(now).is_some() {}
    outbox.settle(1);
    outbox.disconnected();
    assert_eq!([emitted(outbox.poll(now)), emitted(outbox.poll(now))], [(0, 2), (2, 2)]);
    assert_eq!(emitted(outbox.poll(now)), (3, 1));
}

#[test]
fn a_second_ack_of_a_message_settles_nothing() {
    let mut outbox = started(RULES);
    outbox.poll(Duration::from_millis(500));
    assert!(outbox.settle(0).is_some());
    assert_eq!(outbox.settle(0), None);
}

#[test]
fn stopping_counts_what_was_due_and_never_sent() {
    let mut outbox = started(RULES);
    let now = Duration::from_millis(950);
    outbox.poll(now);
    assert!((8..=9).contains(&outbox.stop(now)));
    outbox.settle(0);
    assert_eq!(outbox.poll(Duration::from_secs(9)), None);
    assert!(outbox.unsettled.is_empty());
}

proptest! {
    /// Whatever the server does, with a window of 1 a message is only emitted when all earlier ones are settled or
    /// given up.
    #[test]
    fn with_a_window_of_one_indices_never_go_back(answers in prop::collection::vec(0..4_u8, 1..200)) {
        let mut outbox = started(RULES);
        let (mut now, mut last) = (Duration::ZERO, 0);
        for answer in answers {
            let next = outbox.repeat_at().into_iter().chain(outbox.send_at()).min();
            now = now.max(next.unwrap_or(now));
            while let Some(step) = outbox.poll(now) {
                if let Step::Emit { tag, .. } = step {
                    prop_assert!(tag.index == last || tag.index == last + 1);
                    last = tag.index;
                }
            }
            match answer {
                0 => { outbox.settle(last); }
                1 => outbox.retry(last, now, None),
                2 => outbox.disconnected(),
                _ => now += MS,
            }
        }
    }
}

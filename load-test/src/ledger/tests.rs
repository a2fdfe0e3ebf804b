//! The ledger accepts every history that keeps the promises, and names every way of breaking one.

use proptest::prelude::*;

use super::*;

/// One message of a correct history, at seq = base + place + 1.
#[derive(Debug, Clone, Copy)]
struct Message {
    sender: Side,
    acked: bool,
}

fn history() -> impl Strategy<Value = Vec<Message>> {
    let message = (any::<bool>(), prop::bool::weighted(0.9))
        .prop_map(|(a, acked)| Message { sender: if a { Side::A } else { Side::B }, acked });
    prop::collection::vec(message, 1..60)
}

/// The facts of a history as they come in, in commit order: (sender, index, seq, acked).
fn facts(history: &[Message], base: u64) -> Vec<(Side, u32, u64, bool)> {
    let mut next = [0; 2];
    (base + 1..)
        .zip(history)
        .map(|(seq, message)| {
            let index = next[message.sender as usize];
            next[message.sender as usize] += 1;
            (message.sender, index, seq, message.acked)
        })
        .collect()
}

fn ledger(base: u64) -> Ledger {
    let mut ledger = Ledger::new(true);
    ledger.starts_after(base);
    ledger
}

fn kinds(ledger: Ledger) -> Vec<Violation> {
    ledger.finish().0
}

proptest! {
    #[test]
    fn a_correct_history_violates_nothing(history in history(), base in 0..1_000_u64, acks_first: bool) {
        let mut ledger = ledger(base);
        let facts = facts(&history, base);
        let ack = |ledger: &mut Ledger| {
            for (sender, index, seq, _) in facts.iter().filter(|fact| fact.3) {
                ledger.acked(*sender, *index, *seq, 1);
                ledger.acked(*sender, *index, *seq, 2);
            }
        };
        if acks_first {
            ack(&mut ledger);
            prop_assert_eq!(ledger.undelivered(), facts.iter().filter(|fact| fact.3).count());
        }
        for (sender, index, seq, _) in &facts {
            ledger.delivered(*sender, *index, *seq);
        }
        if !acks_first {
            ack(&mut ledger);
        }
        prop_assert_eq!(ledger.undelivered(), 0);
        prop_assert_eq!(ledger.finish(), (vec![], 0));
    }

    #[test]
    fn any_acked_message_that_is_not_delivered_is_found(history in history(), pick: prop::sample::Index) {
        let facts = facts(&history, 0);
        let lost = pick.index(facts.len());
        let mut ledger = ledger(0);
        for (at, (sender, index, seq, _)) in facts.iter().enumerate() {
            ledger.acked(*sender, *index, *seq, 1);
            if at != lost {
                ledger.delivered(*sender, *index, *seq);
            }
        }
        let (sender, index, seq, _) = facts[lost];
        prop_assert_eq!(ledger.undelivered(), 1);
        prop_assert_eq!(kinds(ledger), vec![Violation::Lost { sender, index, seq }]);
    }

    #[test]
    fn any_repeated_delivery_is_found(history in history(), pick: prop::sample::Index) {
        let facts = facts(&history, 0);
        let mut ledger = ledger(0);
        for (sender, index, seq, _) in &facts {
            ledger.delivered(*sender, *index, *seq);
        }
        let (sender, index, seq, _) = facts[pick.index(facts.len())];
        ledger.delivered(sender, index, seq);
        prop_assert_eq!(kinds(ledger), vec![Violation::DeliveredTwice { sender, index, seq }]);
    }

    #[test]
    fn two_deliveries_in_the_wrong_order_are_found(count in 2..40_u32, pick: prop::sample::Index) {
        let early = u32::try_from(pick.index(count as usize - 1)).unwrap();
        let mut order: Vec<_> = (0..count).collect();
        order.swap(early as usize, early as usize + 1);
        let mut ledger = ledger(0);
        for index in order {
            ledger.delivered(Side::A, index, u64::from(index) + 1);
        }
        let (seq, after) = (u64::from(early) + 1, u64::from(early) + 2);
        prop_assert_eq!(kinds(ledger), vec![Violation::DeliveredOutOfOrder { sender: Side::A, seq, after }]);
    }
}

#[test]
fn a_hole_in_the_seqs_is_found_unless_an_unacked_message_fills_it() {
    for filled in [false, true] {
        let mut ledger = ledger(10);
        for (index, seq) in [(0, 11), (2, 13)] {
            ledger.acked(Side::A, index, seq, 1);
        }
        for (index, seq) in [(0, 11), (1, 12), (2, 13)] {
            if filled || index != 1 {
                ledger.delivered(Side::A, index, seq);
            }
        }
        assert_eq!(kinds(ledger), if filled { vec![] } else { vec![Violation::SeqMissing { seq: 12 }] });
    }
}

#[test]
fn a_seq_of_two_messages_is_found() {
    let mut ledger = ledger(0);
    ledger.acked(Side::A, 0, 1, 1);
    ledger.delivered(Side::A, 0, 1);
    ledger.acked(Side::B, 0, 1, 1);
    ledger.delivered(Side::B, 0, 1);
    assert_eq!(kinds(ledger), vec![Violation::SeqReused { seq: 1 }]);
}

#[test]
fn a_seq_below_the_start_is_found() {
    let mut ledger = ledger(5);
    ledger.acked(Side::A, 0, 5, 1);
    assert_eq!(kinds(ledger), vec![Violation::SeqReused { seq: 5 }]);
}

#[test]
fn an_ack_that_changes_the_seq_is_found() {
    let mut ledger = ledger(0);
    ledger.acked(Side::A, 0, 1, 1);
    ledger.acked(Side::A, 0, 2, 2);
    ledger.delivered(Side::A, 0, 1);
    assert_eq!(kinds(ledger), vec![Violation::SeqChanged { sender: Side::A, index: 0, first: 1, then: 2 }]);
}

#[test]
fn a_member_never_receives_its_own_or_an_unknown_message() {
    let mut ledger = ledger(0);
    ledger.own_delivered(Side::B, 1);
    ledger.unknown(2);
    let expected =
        vec![Violation::OwnMessageDelivered { sender: Side::B, seq: 1 }, Violation::UnknownMessage { seq: 2 }];
    assert_eq!(kinds(ledger), expected);
}

#[test]
fn the_order_of_sending_is_kept_by_everything_that_was_not_repeated() {
    for (strict, repeated, violated) in [(true, 2, true), (false, 1, true), (false, 2, false)] {
        let mut ledger = Ledger::new(strict);
        ledger.acked(Side::A, 0, 2, repeated);
        ledger.acked(Side::A, 1, 1, 1);
        ledger.delivered(Side::A, 1, 1);
        ledger.delivered(Side::A, 0, 2);
        assert_eq!(ledger.finish().1 == 1, violated, "strict {strict}, emitted {repeated} times");
    }
}

#[test]
fn many_violations_are_counted_and_a_few_kept() {
    let mut ledger = ledger(0);
    for seq in 1..=100 {
        ledger.unknown(seq);
    }
    let (kept, count) = ledger.finish();
    assert_eq!((kept.len(), count), (KEPT, 100));
}

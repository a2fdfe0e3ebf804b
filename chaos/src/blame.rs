//! Which fault the crowd had to wait for. Pure.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use crate::stalls::Stalls;

/// A wait that ends later after a fault than this is not its doing.
const AFTERMATH: Duration = Duration::from_secs(10);
/// What faults are charged with that struck while others were not over.
const TOGETHER: &str = "several at once";
/// What is charged to nobody.
const NONE: &str = "no fault";

/// A fault as it really was, in times since the crowd's origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// What it is counted as.
    pub label: String,
    /// When it struck.
    pub from: Duration,
    /// When it was mended.
    pub to: Duration,
}

/// The longest waits under one kind of fault, in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Waits {
    /// How often it struck alone.
    pub times: u64,
    /// In which nobody had an ack.
    pub silence_ms: u64,
    /// From the first emit of a message to its ack.
    pub ack_ms: u64,
    /// From the end of a connection to the next one.
    pub return_ms: u64,
    /// From the ack of a milestone's message to its announcement.
    pub milestone_ms: u64,
}

impl Waits {
    /// The longer of each.
    pub fn merge(&mut self, other: &Self) {
        self.times += other.times;
        self.silence_ms = self.silence_ms.max(other.silence_ms);
        self.ack_ms = self.ack_ms.max(other.ack_ms);
        self.return_ms = self.return_ms.max(other.return_ms);
        self.milestone_ms = self.milestone_ms.max(other.milestone_ms);
    }
}

/// The longest waits by the label of the fault that is to blame, between `start` and `end` of a run.
pub fn blame(spans: &[Span], stalls: &Stalls, (start, end): (Duration, Duration)) -> BTreeMap<String, Waits> {
    let mut spans = spans.to_vec();
    spans.sort_by_key(|span| span.from);
    let mut blamed: BTreeMap<String, Waits> = BTreeMap::new();
    let first = spans.first().map_or(end, |span| span.from);
    if start < first {
        add(&mut blamed, NONE, stalls, (start, first));
    }
    let mut last_mended = Duration::ZERO;
    for (i, span) in spans.iter().enumerate() {
        let next = spans.get(i + 1).map_or(end, |next| next.from);
        let is_alone = last_mended <= span.from && span.to <= next;
        last_mended = last_mended.max(span.to);
        let window = (span.from, next.min(last_mended + AFTERMATH));
        add(&mut blamed, if is_alone { &span.label } else { TOGETHER }, stalls, window);
    }
    blamed
}

fn add(blamed: &mut BTreeMap<String, Waits>, label: &str, stalls: &Stalls, (from, to): (Duration, Duration)) {
    let ms = |wait: Duration| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    blamed.entry(label.to_owned()).or_default().merge(&Waits {
        times: 1,
        silence_ms: ms(stalls.beats.longest_pause(from, to)),
        ack_ms: ms(stalls.acks.longest(from, to)),
        return_ms: ms(stalls.returns.longest(from, to)),
        milestone_ms: ms(stalls.milestones.longest(from, to)),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn span(label: &str, from: u64, to: u64) -> Span {
        Span { label: label.to_owned(), from: s(from), to: s(to) }
    }

    /// An ack each second, the one at 12 s after a wait of 4 s.
    fn stalls() -> Stalls {
        let mut stalls = Stalls::default();
        for at in (0..30).filter(|at| !(8..12).contains(at)) {
            stalls.acked(s(if at == 12 { 8 } else { at }), s(at));
        }
        stalls
    }

    #[test]
    fn a_fault_is_charged_with_the_waits_until_the_next_one() {
        let blamed = blame(&[span("kill a", 7, 9), span("kill b", 15, 16)], &stalls(), (s(1), s(20)));
        assert_eq!((blamed["kill a"].ack_ms, blamed["kill a"].silence_ms), (4_000, 4_980));
        assert_eq!((blamed["kill b"].ack_ms, blamed["kill b"].silence_ms), (0, 980));
        assert_eq!(blamed["no fault"].ack_ms, 0);
    }

    #[test]
    fn faults_that_overlap_are_not_told_apart() {
        let blamed = blame(&[span("kill a", 7, 10), span("kill b", 9, 11)], &stalls(), (s(1), s(20)));
        assert_eq!(blamed.keys().collect::<Vec<_>>(), ["no fault", "several at once"]);
        assert_eq!((blamed["several at once"].times, blamed["several at once"].ack_ms), (2, 3_000));
    }

    #[test]
    fn a_fault_that_outlasts_a_later_one_is_charged_until_its_own_end() {
        let mut stalls = Stalls::default();
        stalls.acked(s(41), s(45));
        let blamed = blame(&[span("slow a", 7, 44), span("kill b", 9, 10)], &stalls, (s(1), s(60)));
        assert_eq!(blamed["several at once"].ack_ms, 4_000);
    }

    #[test]
    fn the_longest_wait_of_a_kind_is_kept() {
        let blamed = blame(&[span("kill a", 1, 2), span("kill a", 7, 9)], &stalls(), (s(1), s(20)));
        assert_eq!((blamed["kill a"].times, blamed["kill a"].ack_ms), (2, 4_000));
    }
}

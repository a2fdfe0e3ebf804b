//! The tries of one send: where each goes, how long it waits, when the next one comes. Pure: the time goes in.

use std::time::{Duration, Instant};

use proto::chat::SendReply;

use crate::outcomes::Outcomes;

/// How long the first try waits for its reply while answers come in time: so short that the death of a replica or a
/// NATS node is hardly noticed.
const FIRST_PATIENCE: Duration = Duration::from_millis(400);
/// How long the others wait, and the first one while answers are late: whoever is slow, and not dead, must have time to
/// answer. What is asked twice is done twice, and that is the last thing that a slow service needs.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a request is repeated before its outcome stays unknown.
const WINDOW: Duration = Duration::from_secs(5);
/// The first pause between tries that fail at once; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// The replica that owns the match's partition.
    Owner,
    /// Whichever replica is there.
    Any,
}

/// A request that is repeated whole and with the same ids until its outcome is known or its time is over.
#[derive(Debug)]
pub struct Tries {
    began: Instant,
    number: u32,
    strained: bool,
    outcomes: Outcomes,
}

impl Tries {
    /// The tries of a request with so many drafts, before the first. `strained` says that answers are late at the
    /// moment.
    pub fn new(drafts: usize, now: Instant, strained: bool) -> Self {
        Self { began: now, number: 0, strained, outcomes: Outcomes::unknown(drafts) }
    }

    /// Where this try goes. The owner may be gone without anybody having noticed yet: every other one goes to whoever
    /// is there.
    pub fn route(&self) -> Route {
        if self.number.is_multiple_of(2) { Route::Owner } else { Route::Any }
    }

    /// How long this try waits for its reply before the next one.
    pub fn patience(&self, now: Instant) -> Duration {
        if self.number == 0 && !self.strained { FIRST_PATIENCE } else { self.deadline(now) }
    }

    /// How long whoever is asked may work on this try. Who is slower than the first one's patience is not stopped: what
    /// it stores all the same answers the next try.
    pub fn deadline(&self, now: Instant) -> Duration {
        PATIENCE.min(WINDOW.saturating_sub(now.saturating_duration_since(self.began)))
    }

    /// Takes in the reply to this try. False if it does not fit the request, and so says nothing.
    pub fn answered(&mut self, reply: SendReply) -> bool {
        self.outcomes.absorb(reply)
    }

    /// This try had no answer, and somebody may have been asked: what it asked for may be done yet.
    pub fn unanswered(&mut self) {
        self.outcomes.unanswered();
    }

    /// This try is over: how long to wait before the next. `None` when the outcome is known or the time is over.
    ///
    /// `chance`, from 0 to 1, spreads those who failed together, so that they do not come back together.
    pub fn next(&mut self, now: Instant, chance: f64) -> Option<Duration> {
        let wait = Duration::from_millis(self.outcomes.retry_after_ms()?);
        let pause = match self.route() {
            // Nobody has answered as the owner: whoever is there is asked at once.
            Route::Owner => wait,
            Route::Any => wait.max(pause_after(self.number, chance)),
        };
        if now.saturating_duration_since(self.began) + pause >= WINDOW {
            return None;
        }
        self.number += 1;
        Some(pause)
    }

    /// How many tries were made.
    pub fn count(&self) -> u32 {
        self.number + 1
    }

    /// Whether some draft's outcome is not known.
    pub fn is_unknown(&self) -> bool {
        self.outcomes.retry_after_ms().is_some()
    }

    /// The reply of the request as a whole.
    pub fn into_reply(self) -> SendReply {
        self.outcomes.into_reply()
    }
}

fn pause_after(number: u32, chance: f64) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(number)).min(LONGEST_PAUSE);
    longest.mul_f64(0.5 + chance / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_without_an_answer_is_tried_for_five_seconds_by_both_ways() {
        let start = Instant::now();
        let (mut tries, mut now, mut routes) = (Tries::new(1, start, false), start, Vec::new());
        loop {
            routes.push(tries.route());
            assert!(now + tries.patience(now) <= start + WINDOW);
            now += tries.patience(now);
            let Some(pause) = tries.next(now, 0.5) else { break };
            now += pause;
        }
        assert_eq!(routes[..4], [Route::Owner, Route::Any, Route::Owner, Route::Any]);
        assert!(now + PATIENCE > start + WINDOW && tries.is_unknown());
        assert_eq!(tries.count() as usize, routes.len());
    }

    #[test]
    fn while_answers_are_late_the_first_try_has_as_much_time_as_the_others() {
        let now = Instant::now();
        assert_eq!(Tries::new(1, now, false).patience(now), FIRST_PATIENCE);
        assert_eq!(Tries::new(1, now, true).patience(now), PATIENCE);
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        assert_eq!(pause_after(0, 1.0), FIRST_PAUSE);
        assert_eq!(pause_after(2, 0.0), FIRST_PAUSE * 2);
        assert_eq!(pause_after(40, 1.0), LONGEST_PAUSE);
    }
}

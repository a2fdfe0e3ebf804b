//! How many sends may be open at once: as many as the services answer in time. More are refused before they cost
//! anything.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use proto::{
    Code,
    chat::{SendResult, Stored, send_result},
};

use super::outcome_of;
use crate::{failure::Failure, metrics};

/// An answer that took longer means that there is too much to do.
const LATE: Duration = Duration::from_millis(500);
/// The bounds of the limit, and where it begins.
const FEWEST: f64 = 256.0;
const MOST: f64 = 65_536.0;
const FIRST: f64 = 4_096.0;
/// An answer in time raises the limit by this while the limit is being used: by a twentieth for each full round.
const RAISE: f64 = 0.05;
/// Late answers lower it to this part, at most once in the time in which the effect can be seen.
const LOWER: f64 = 0.8;
const LOWER_EVERY: Duration = LATE;
/// How long after late answers more of them are to be expected.
const STRAIN: Duration = Duration::from_secs(2);
/// When to try again, at the earliest: [`Failure::spread`] makes it later by up to as much.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The limit of one gateway, which follows the answers: raised little by little, lowered at once (additive increase,
/// multiplicative decrease, as TCP's congestion window, RFC 5681). Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Admission(Arc<Mutex<Window>>);

/// A send that is open until this is dropped, or answered.
#[derive(Debug)]
pub struct Admitted {
    admission: Admission,
    since: Instant,
    lesson: Lesson,
}

/// What an answer says of how much there may be to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lesson {
    /// There may be more.
    InTime,
    /// There is too much.
    TooMuch,
    /// Nothing.
    None,
}

#[derive(Debug)]
struct Window {
    open: usize,
    limit: f64,
    lowered_at: Option<Instant>,
}

impl Admission {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Window { open: 0, limit: FIRST, lowered_at: None })))
    }

    /// Opens a send, unless too many are.
    pub(super) fn admit(&self, now: Instant) -> Result<Admitted, Failure> {
        if self.window().open() {
            Ok(Admitted { admission: self.clone(), since: now, lesson: Lesson::None })
        } else {
            Err(Failure::rate_limited(RETRY_AFTER))
        }
    }

    /// Whether answers were late a moment ago.
    pub(super) fn is_strained(&self, now: Instant) -> bool {
        self.window().lowered_at.is_some_and(|at| now.saturating_duration_since(at) < STRAIN)
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admitted {
    /// Ends a send: its result adjusts the limit, and is counted. A refusal for what this one sender does leaves the
    /// limit as it is.
    pub fn note(mut self, result: &SendResult) {
        let (took, outcome) = (self.since.elapsed(), result.result.as_ref());
        let (code, is_of_sender) = match outcome {
            Some(send_result::Result::Stored(_)) => (None, false),
            Some(send_result::Result::Failure(failure)) => (Some(Failure::from(*failure).code), failure.of_sender),
            None => (Some(Code::Unavailable), false),
        };
        if !is_of_sender {
            self.lesson = lesson_of(code, took);
        }
        let is_duplicate = matches!(outcome, Some(send_result::Result::Stored(stored)) if stored.duplicate);
        metrics::send_answered(took, code.map_or(if is_duplicate { "duplicate" } else { "stored" }, Code::as_str));
    }

    /// As [`note`](Self::note), and returns the result as the sender is told it.
    ///
    /// # Errors
    /// Why the draft is not known to be stored.
    pub fn answered(self, result: SendResult) -> Result<Stored, Failure> {
        self.note(&result);
        outcome_of(result).map_err(|failure| failure.spread(fastrand::u64(..)))
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.admission.window().close(self.lesson, Instant::now());
    }
}

/// What is learned of a send that ended, after `took`, well or with a code.
fn lesson_of(code: Option<Code>, took: Duration) -> Lesson {
    match code {
        None if took <= LATE => Lesson::InTime,
        None | Some(Code::RateLimited | Code::Unavailable) => Lesson::TooMuch,
        Some(_) => Lesson::None,
    }
}

impl Window {
    fn open(&mut self) -> bool {
        let has_room = self.open < self.room();
        self.open += usize::from(has_room);
        has_room
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between FEWEST and MOST")]
    fn room(&self) -> usize {
        self.limit as usize
    }

    /// A send is over.
    fn close(&mut self, lesson: Lesson, now: Instant) {
        match lesson {
            Lesson::TooMuch => self.lower(now),
            Lesson::InTime if self.open > self.room() / 2 => self.limit = (self.limit + RAISE).min(MOST),
            Lesson::InTime | Lesson::None => {}
        }
        self.open = self.open.saturating_sub(1);
    }

    fn lower(&mut self, now: Instant) {
        if self.lowered_at.is_none_or(|at| now.saturating_duration_since(at) >= LOWER_EVERY) {
            self.limit = (self.limit * LOWER).max(FEWEST);
            self.lowered_at = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window() -> Window {
        Window { open: 0, limit: FIRST, lowered_at: None }
    }

    /// Opens all that there is room for, and closes it.
    fn round(window: &mut Window, lesson: Lesson, now: Instant) -> usize {
        let mut opened = 0;
        while window.open() {
            opened += 1;
        }
        for _ in 0..opened {
            window.close(lesson, now);
        }
        opened
    }

    #[test]
    fn what_is_over_the_limit_is_refused_until_something_is_answered() {
        let admission = Admission::new();
        let now = Instant::now();
        let mut open: Vec<_> = std::iter::from_fn(|| admission.admit(now).ok()).collect();
        assert_eq!(open.len(), window().room());
        let refused = admission.admit(now).unwrap_err();
        assert_eq!((refused.code, refused.retry_after_ms), (proto::Code::RateLimited, Some(1_000)));
        open.pop();
        assert!(admission.admit(now).is_ok());
    }

    #[test]
    fn late_answers_lower_the_limit_once_per_round_and_never_to_nothing() {
        let (mut window, mut now) = (window(), Instant::now());
        round(&mut window, Lesson::TooMuch, now);
        assert_eq!(round(&mut window, Lesson::InTime, now), 3_276);
        for _ in 0..100 {
            now += LOWER_EVERY;
            round(&mut window, Lesson::TooMuch, now);
        }
        assert_eq!(window.room(), 256);
    }

    #[test]
    fn refusals_of_the_services_are_no_answers_in_time() {
        let soon = Duration::from_millis(5);
        assert_eq!(lesson_of(None, soon), Lesson::InTime);
        assert_eq!(lesson_of(None, LATE * 2), Lesson::TooMuch);
        assert_eq!(lesson_of(Some(Code::RateLimited), soon), Lesson::TooMuch);
        assert_eq!(lesson_of(Some(Code::MatchNotFound), soon), Lesson::None);
    }

    #[test]
    fn late_answers_are_remembered_for_a_moment() {
        let (admission, now) = (Admission::new(), Instant::now());
        assert!(!admission.is_strained(now));
        admission.window().close(Lesson::TooMuch, now);
        assert!(admission.is_strained(now));
        assert!(!admission.is_strained(now + STRAIN));
    }

    #[test]
    fn answers_in_time_raise_it_while_it_is_used() {
        let (mut window, now) = (window(), Instant::now());
        for _ in 0..10_000 {
            window.open();
            window.close(Lesson::InTime, now);
        }
        assert_eq!(window.room(), 4_096, "nobody needed more");
        let before = round(&mut window, Lesson::InTime, now);
        let after = round(&mut window, Lesson::InTime, now);
        assert!(after > before + before / 50 && after < before + before / 10, "{before} {after}");
        for _ in 0..200 {
            round(&mut window, Lesson::InTime, now);
        }
        assert_eq!(window.room(), 65_536);
    }
}

//! How many sends may be open at once: as many as the services answer in time. More are refused before they cost anything.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::failure::Failure;

/// An answer that took longer means that there is too much to do. It was not there when the first try was given up (`tries.rs`),
/// and what is asked for again makes even more to do.
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
/// When to try again, at the earliest: [`Failure::spread`] makes it later by up to as much.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The limit of one gateway, which follows the answers: raised little by little, lowered at once (additive increase,
/// multiplicative decrease, as TCP's congestion window, RFC 5681). Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Admission(Arc<Mutex<Window>>);

/// A send that is open until this is dropped.
#[derive(Debug)]
pub struct Admitted {
    admission: Admission,
    since: Instant,
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
            Ok(Admitted { admission: self.clone(), since: now })
        } else {
            Err(Failure::rate_limited(RETRY_AFTER))
        }
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let now = Instant::now();
        self.admission.window().close(now.saturating_duration_since(self.since), now);
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

    /// A send is answered, `took` after it was opened.
    fn close(&mut self, took: Duration, now: Instant) {
        if took > LATE {
            if self.lowered_at.is_none_or(|at| now.saturating_duration_since(at) >= LOWER_EVERY) {
                self.limit = (self.limit * LOWER).max(FEWEST);
                self.lowered_at = Some(now);
            }
        } else if self.open > self.room() / 2 {
            self.limit = (self.limit + RAISE).min(MOST);
        }
        self.open = self.open.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(5);

    fn window() -> Window {
        Window { open: 0, limit: FIRST, lowered_at: None }
    }

    /// Opens all that there is room for, and has it answered after `took`.
    fn round(window: &mut Window, took: Duration, now: Instant) -> usize {
        let mut opened = 0;
        while window.open() {
            opened += 1;
        }
        for _ in 0..opened {
            window.close(took, now);
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
        round(&mut window, LATE * 2, now);
        assert_eq!(round(&mut window, SOON, now), 3_276);
        for _ in 0..100 {
            now += LOWER_EVERY;
            round(&mut window, LATE * 2, now);
        }
        assert_eq!(window.room(), 256);
    }

    #[test]
    fn answers_in_time_raise_it_while_it_is_used() {
        let (mut window, now) = (window(), Instant::now());
        for _ in 0..10_000 {
            window.open();
            window.close(SOON, now);
        }
        assert_eq!(window.room(), 4_096, "nobody needed more");
        let before = round(&mut window, SOON, now);
        let after = round(&mut window, SOON, now);
        assert!(after > before + before / 50 && after < before + before / 10, "{before} {after}");
        for _ in 0..200 {
            round(&mut window, SOON, now);
        }
        assert_eq!(window.room(), 65_536);
    }
}

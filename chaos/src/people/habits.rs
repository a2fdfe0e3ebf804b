//! What a user feels like doing next: random, but the same for the same seed. Pure.

use std::time::Duration;

use fastrand::Rng;
use load_test::arrivals::exponential;

/// Something that a user does now and then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Habit {
    /// Writes a message.
    Write,
    /// Loses the connection, or reloads the page.
    HangUp,
    /// Closes a chat for a moment.
    Leave,
    /// Reads a page of the history.
    Read,
    /// Types.
    Type,
    /// Calls.
    Call,
}

const HABITS: [Habit; 6] = [Habit::Write, Habit::HangUp, Habit::Leave, Habit::Read, Habit::Type, Habit::Call];

/// Seconds between two of each but messages.
const MEAN_PAUSES_S: [f64; 6] = [0.0, 15.0, 20.0, 8.0, 6.0, 8.0];

/// How a message goes to the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Emitted.
    Emit,
    /// Emitted, and saved by REST through another gateway under the same clientId.
    Twice,
    /// Emitted, and another body saved by REST under the same clientId.
    Conflict,
    /// Saved by REST.
    Save {
        /// In the name of the socket.
        named: bool,
        /// What was saved is emitted then, as the seed's clients do.
        emits: bool,
    },
}

/// One user's moods.
#[derive(Debug)]
pub(super) struct Habits {
    pub(super) rng: Rng,
    due: [Duration; HABITS.len()],
    pauses_s: [f64; HABITS.len()],
}

impl Habits {
    /// A user that writes so many messages a second.
    pub(super) fn new(seed: u64, rate: f64, now: Duration) -> Self {
        let mut pauses_s = MEAN_PAUSES_S;
        pauses_s[0] = if rate > 0.0 { 1.0 / rate } else { f64::INFINITY };
        let mut rng = Rng::with_seed(seed);
        let due = pauses_s.map(|mean_s| now + pause(&mut rng, mean_s));
        Self { rng, due, pauses_s }
    }

    /// The next thing to do now.
    pub(super) fn due(&mut self, now: Duration) -> Option<Habit> {
        let at = self.due.iter().position(|due| *due <= now)?;
        // Who was away does not make up for it.
        self.due[at] =
            self.due[at].max(now.saturating_sub(Duration::from_secs(1))) + pause(&mut self.rng, self.pauses_s[at]);
        Some(HABITS[at])
    }

    /// When there is something to do.
    pub(super) fn due_at(&self) -> Duration {
        self.due.iter().copied().min().unwrap_or(Duration::MAX)
    }

    pub(super) fn manner(&mut self) -> Manner {
        match self.rng.u8(0..100) {
            0 => Manner::Conflict,
            1..=3 => Manner::Twice,
            4..=7 => Manner::Save { named: self.rng.bool(), emits: self.rng.bool() },
            _ => Manner::Emit,
        }
    }

    pub(super) fn chance(&mut self, percent: u8) -> bool {
        self.rng.u8(0..100) < percent
    }

    /// A time from now that is at most this long.
    pub(super) fn soon(&mut self, longest: Duration) -> Duration {
        longest.mul_f64(self.rng.f64())
    }
}

/// An exponentially distributed pause; a day at most.
fn pause(rng: &mut Rng, mean_s: f64) -> Duration {
    Duration::from_secs_f64(exponential(rng, mean_s).min(86_400.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_writes_as_often_as_asked_for() {
        let mut habits = Habits::new(7, 5.0, Duration::ZERO);
        let mut written = 0;
        for ms in 0..100_000 {
            while let Some(habit) = habits.due(Duration::from_millis(ms)) {
                written += usize::from(habit == Habit::Write);
            }
        }
        assert!((400..600).contains(&written), "{written}");
    }

    #[test]
    fn the_same_seed_gives_the_same_moods() {
        let moods = |seed| {
            let mut habits = Habits::new(seed, 1.0, Duration::ZERO);
            (0..100).map(|_| habits.manner()).collect::<Vec<_>>()
        };
        assert_eq!(moods(1), moods(1));
        assert_ne!(moods(1), moods(2));
    }
}

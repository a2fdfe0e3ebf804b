//! What a gateway knows of a user whom its sockets watch. Pure: the time goes in.
//!
//! Nobody tells of a gateway's death, so it is asked again and again who holds the user. One question that nobody
//! answers proves little: the user may be on the way to another gateway.

use std::time::{Duration, Instant};

/// What is known of one watched user.
#[derive(Debug, Default)]
pub struct Watched {
    online: Option<bool>,
    /// Since when nobody who was asked has the user. Mostly not, and then it is one word.
    doubted_since: Option<Box<Instant>>,
    /// Changes whenever the user is seen: what was asked before that is answered too late.
    seen: u32,
}

impl Watched {
    /// One of whom so much is known.
    pub fn new(online: Option<bool>) -> Self {
        Self { online, ..Self::default() }
    }

    /// Whether the user is online, if that is known.
    pub fn online(&self) -> Option<bool> {
        self.online
    }

    /// What a question is asked with, to be brought back with its answer.
    pub fn ask(&self) -> u32 {
        self.seen
    }

    /// Somewhere a socket of the user is in use. True if that is news.
    pub fn is_here(&mut self) -> bool {
        self.seen = self.seen.wrapping_add(1);
        self.doubted_since = None;
        self.online.replace(true) != Some(true)
    }

    /// Who was asked has no socket of the user in use. Who counted as online is not so only when that has been so for
    /// the whole `grace`. True if that is news.
    pub fn is_nowhere(&mut self, asked: u32, now: Instant, grace: Duration) -> bool {
        if asked != self.seen || self.online == Some(false) {
            return false;
        }
        let since = **self.doubted_since.get_or_insert_with(|| Box::new(now));
        let is_doubted_only = self.online == Some(true) && now.saturating_duration_since(since) < grace;
        if is_doubted_only {
            return false;
        }
        self.went()
    }

    /// The same when somebody has waited that long already.
    pub fn is_gone(&mut self, asked: u32) -> bool {
        asked == self.seen && self.went()
    }

    /// The gateway was cut off: nothing that it has asked before tells anything.
    pub fn is_cut_off(&mut self) {
        self.doubted_since = None;
    }

    fn went(&mut self) -> bool {
        self.doubted_since = None;
        self.online.replace(false) != Some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(30);

    #[test]
    fn who_is_online_is_so_until_nobody_had_the_user_for_the_whole_grace() {
        let (mut watched, start) = (Watched::default(), Instant::now());
        assert!(watched.is_here() && !watched.is_here());
        let nowhere = |watched: &mut Watched, at| watched.is_nowhere(watched.ask(), start + at, GRACE);
        assert!(!nowhere(&mut watched, Duration::ZERO));
        assert!(!nowhere(&mut watched, GRACE.mul_f64(0.999)));
        assert_eq!(watched.online(), Some(true));
        assert!(!watched.is_here(), "the user is back, and that is no news");
        assert!(!nowhere(&mut watched, GRACE));
        assert!(nowhere(&mut watched, 2 * GRACE));
        assert!(!nowhere(&mut watched, 3 * GRACE));
        assert!(watched.is_here());
    }

    #[test]
    fn of_whom_nothing_is_known_one_answer_tells() {
        let mut watched = Watched::default();
        assert!(watched.is_nowhere(watched.ask(), Instant::now(), GRACE));
        assert_eq!(watched.online(), Some(false));
    }

    #[test]
    fn an_answer_to_what_was_asked_before_the_user_came_tells_nothing() {
        let mut watched = Watched::new(Some(false));
        let asked = watched.ask();
        assert!(watched.is_here());
        assert!(!watched.is_gone(asked) && !watched.is_nowhere(asked, Instant::now(), Duration::ZERO));
        assert!(watched.is_gone(watched.ask()));
    }

    #[test]
    fn while_it_is_cut_off_nobody_goes() {
        let (mut watched, start) = (Watched::new(Some(true)), Instant::now());
        assert!(!watched.is_nowhere(watched.ask(), start, GRACE));
        watched.is_cut_off();
        assert!(!watched.is_nowhere(watched.ask(), start + GRACE, GRACE));
        assert!(watched.is_nowhere(watched.ask(), start + 2 * GRACE, GRACE));
    }
}

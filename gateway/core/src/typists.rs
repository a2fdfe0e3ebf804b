//! Who is shown as typing to one user, and until when. Pure: the time goes in.

use std::time::{Duration, Instant};

use proto::{MatchId, UserId};

/// A typist who says nothing more is taken to have stopped after this long.
pub(crate) const TYPING_LASTS: Duration = Duration::from_secs(6);

/// More than a user can plausibly watch at once; beyond it the oldest is taken to have stopped.
const MAX_SHOWN: usize = 64;

#[derive(Debug)]
struct Shown {
    chat: MatchId,
    typist: UserId,
    until: Instant,
}

/// The typists shown to a user's sockets.
#[derive(Debug, Default)]
pub(crate) struct Typists(Vec<Shown>);

impl Typists {
    /// A typist has begun or goes on. Returns one who is taken to have stopped for it.
    pub(crate) fn started(&mut self, chat: &MatchId, typist: &UserId, now: Instant) -> Option<(MatchId, UserId)> {
        self.stopped(chat, typist);
        let oldest = (self.0.len() >= MAX_SHOWN).then(|| self.0.remove(0));
        self.0.push(Shown { chat: chat.clone(), typist: typist.clone(), until: now + TYPING_LASTS });
        oldest.map(|shown| (shown.chat, shown.typist))
    }

    /// A typist has stopped, or sent the message. True if it was shown.
    pub(crate) fn stopped(&mut self, chat: &MatchId, typist: &UserId) -> bool {
        let before = self.0.len();
        self.0.retain(|shown| shown.chat != *chat || shown.typist != *typist);
        self.0.len() < before
    }

    /// Nobody is shown.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Nobody types in a closed chat.
    pub(crate) fn forget(&mut self, chat: &MatchId) {
        self.0.retain(|shown| shown.chat != *chat);
    }

    /// Takes one that has expired.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<(MatchId, UserId)> {
        // Entries are kept in the order of their expiry.
        self.0.first().filter(|shown| shown.until <= now)?;
        let shown = self.0.remove(0);
        Some((shown.chat, shown.typist))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> (MatchId, UserId) {
        (MatchId::new("m").unwrap(), UserId::new("bob").unwrap())
    }

    #[test]
    fn a_typist_expires_six_seconds_after_the_last_word() {
        let (chat, bob) = ids();
        let start = Instant::now();
        let mut typists = Typists::default();
        typists.started(&chat, &bob, start);
        typists.started(&chat, &bob, start + Duration::from_secs(4));
        assert_eq!(typists.expire(start + Duration::from_secs(9)), None);
        assert!(!typists.is_empty());
        assert_eq!(typists.expire(start + Duration::from_secs(10)), Some((chat, bob)));
        assert!(typists.is_empty());
    }

    #[test]
    fn the_oldest_of_too_many_is_taken_to_have_stopped() {
        let ((chat, bob), now) = (ids(), Instant::now());
        let mut typists = Typists::default();
        assert_eq!(typists.started(&chat, &bob, now), None);
        let more = (1..=MAX_SHOWN).map(|number| UserId::new(format!("u{number}")).unwrap());
        let stopped: Vec<_> = more.filter_map(|user| typists.started(&chat, &user, now)).collect();
        assert_eq!(stopped, [(chat, bob)]);
    }

    #[test]
    fn only_a_shown_typist_can_stop() {
        let (chat, bob) = ids();
        let mut typists = Typists::default();
        assert!(!typists.stopped(&chat, &bob));
        typists.started(&chat, &bob, Instant::now());
        assert!(typists.stopped(&chat, &bob));
        assert!(!typists.stopped(&chat, &bob));
    }
}

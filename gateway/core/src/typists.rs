//! Who is shown as typing to one user, and until when. Pure: the time goes in.

use std::time::{Duration, Instant};

use proto::{MatchId, UserId};

/// A typist who says nothing more is taken to have stopped after this long.
pub(crate) const TYPING_LASTS: Duration = Duration::from_secs(6);

/// More than a user can plausibly watch at once; beyond it the oldest is taken to have stopped.
const MAX_REMEMBERED: usize = 64;
/// Most names that one chat shows at a time.
const MAX_NAMES: usize = 3;

#[derive(Debug)]
struct Typist {
    chat: MatchId,
    user: UserId,
    until: Instant,
    /// False while the chat shows as many others as it may.
    is_shown: bool,
}

/// Those who type to one user.
#[derive(Debug, Default)]
pub(crate) struct Typists(Vec<Typist>);

/// What is to be told when somebody types.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Started {
    /// Whether that is shown.
    pub(crate) is_shown: bool,
    /// Who was shown, and is taken to have stopped for it.
    pub(crate) forgotten: Option<(MatchId, UserId)>,
}

impl Typists {
    /// A typist has begun or goes on.
    pub(crate) fn started(&mut self, chat: &MatchId, user: &UserId, now: Instant) -> Started {
        let was_shown = self.stopped(chat, user) == Some(true);
        let is_crowded = self.0.iter().filter(|other| other.is_shown && other.chat == *chat).count() >= MAX_NAMES;
        let is_shown = was_shown || !is_crowded;
        let forgotten = if self.0.len() >= MAX_REMEMBERED { self.forget_one() } else { None };
        self.0.push(Typist { chat: chat.clone(), user: user.clone(), until: now + TYPING_LASTS, is_shown });
        Started { is_shown, forgotten }
    }

    /// One that is not shown, or else the oldest.
    fn forget_one(&mut self) -> Option<(MatchId, UserId)> {
        let forgotten = self.0.remove(self.0.iter().position(|typist| !typist.is_shown).unwrap_or(0));
        forgotten.is_shown.then_some((forgotten.chat, forgotten.user))
    }

    /// A typist has stopped, or sent the message. Whether it was shown; `None` of one who is not known.
    pub(crate) fn stopped(&mut self, chat: &MatchId, user: &UserId) -> Option<bool> {
        let index = self.0.iter().position(|typist| typist.chat == *chat && typist.user == *user)?;
        Some(self.0.remove(index).is_shown)
    }

    /// Nobody types.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Nobody types in a closed chat.
    pub(crate) fn forget(&mut self, chat: &MatchId) {
        self.0.retain(|typist| typist.chat != *chat);
    }

    /// Takes one that was shown and has expired.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<(MatchId, UserId)> {
        // Entries are kept in the order of their expiry.
        while self.0.first().is_some_and(|typist| typist.until <= now) {
            let expired = self.0.remove(0);
            if expired.is_shown {
                return Some((expired.chat, expired.user));
            }
        }
        None
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
        assert_eq!(typists.started(&chat, &bob, now), Started { is_shown: true, forgotten: None });
        let more = (1..=MAX_REMEMBERED).map(|number| MatchId::new(format!("m{number}")).unwrap());
        let stopped: Vec<_> = more.filter_map(|chat| typists.started(&chat, &bob, now).forgotten).collect();
        assert_eq!(stopped, [(chat, bob)]);
    }

    #[test]
    fn a_chat_shows_three_names_and_another_one_when_there_is_room() {
        let ((chat, bob), now) = (ids(), Instant::now());
        let mut typists = Typists::default();
        let users: Vec<UserId> = (0..MAX_REMEMBERED * 2).map(|n| UserId::new(format!("u{n}")).unwrap()).collect();
        let shown = |typists: &mut Typists, user: &UserId| typists.started(&chat, user, now).is_shown;
        assert_eq!(users.iter().filter(|user| shown(&mut typists, user)).count(), MAX_NAMES);
        assert!(shown(&mut typists, &users[0]) && !shown(&mut typists, &bob), "who is shown stays so");
        assert_eq!(typists.stopped(&chat, &bob), Some(false));
        assert_eq!(typists.stopped(&chat, &users[1]), Some(true));
        assert!(shown(&mut typists, &bob));
        assert_eq!(
            typists.started(&MatchId::new("other").unwrap(), &bob, now),
            Started { is_shown: true, forgotten: None }
        );
    }

    #[test]
    fn only_a_shown_typist_can_stop() {
        let (chat, bob) = ids();
        let mut typists = Typists::default();
        assert_eq!(typists.stopped(&chat, &bob), None);
        typists.started(&chat, &bob, Instant::now());
        assert_eq!(typists.stopped(&chat, &bob), Some(true));
        assert_eq!(typists.stopped(&chat, &bob), None);
    }
}

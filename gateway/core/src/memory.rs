//! What is remembered of what a user heard, for all of the user's sockets. Mostly nothing, and then it is one word.
//! Pure.

use std::time::Instant;

use proto::{MatchId, UserId};

use crate::{
    told::Told,
    typists::{Started, Typists},
};

/// What is remembered for one user.
#[derive(Debug, Default)]
pub struct Memory(Option<Box<Remembered>>);

#[derive(Debug, Default)]
struct Remembered {
    typists: Typists,
    told: Told,
    memberships: Told,
}

impl Remembered {
    fn is_empty(&self) -> bool {
        self.typists.is_empty() && self.told.is_empty() && self.memberships.is_empty()
    }
}

impl Memory {
    /// Remembers a typist.
    pub(crate) fn typing_started(&mut self, chat: &MatchId, typist: &UserId, now: Instant) -> Started {
        self.0.get_or_insert_default().typists.started(chat, typist, now)
    }

    /// Forgets a typist. Whether it was shown; `None` of one who is not known.
    pub fn typing_stopped(&mut self, chat: &MatchId, typist: &UserId) -> Option<bool> {
        let was_shown = self.0.as_mut().and_then(|remembered| remembered.typists.stopped(chat, typist));
        self.tidy();
        was_shown
    }

    /// Nobody types in a closed chat.
    pub fn chat_closed(&mut self, chat: &MatchId) {
        if let Some(remembered) = &mut self.0 {
            remembered.typists.forget(chat);
        }
        self.tidy();
    }

    /// Takes a typist who has said nothing for too long.
    pub fn expire_typist(&mut self, now: Instant) -> Option<(MatchId, UserId)> {
        let expired = self.0.as_mut().and_then(|remembered| remembered.typists.expire(now));
        self.tidy();
        expired
    }

    /// Whether somebody is shown as typing.
    pub fn has_typists(&self) -> bool {
        self.0.as_ref().is_some_and(|remembered| !remembered.typists.is_empty())
    }

    /// Whether a change that makes the user a member, or ends that, is news and none behind it was told. Then it counts
    /// as told.
    pub fn is_newest_membership(&mut self, chat: &MatchId, rev: i64) -> bool {
        self.0.get_or_insert_default().memberships.is_newest(chat, rev)
    }

    /// Whether a milestone is news; it then counts as told.
    pub fn is_news(&mut self, chat: &MatchId, rev: i64) -> bool {
        self.0.get_or_insert_default().told.is_news(chat, rev)
    }

    fn tidy(&mut self) {
        self.0.take_if(|remembered| remembered.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_when_nobody_types_and_nothing_was_told() {
        let (chat, bob) = (MatchId::new("m").unwrap(), UserId::new("bob").unwrap());
        let mut memory = Memory::default();
        memory.typing_started(&chat, &bob, Instant::now());
        assert!(memory.has_typists());
        assert_eq!(memory.typing_stopped(&chat, &bob), Some(true));
        assert!(memory.0.is_none());
        memory.typing_started(&chat, &bob, Instant::now());
        assert!(memory.is_news(&chat, 1));
        memory.chat_closed(&chat);
        assert!(!memory.has_typists());
        assert!(!memory.is_news(&chat, 1));
    }
}

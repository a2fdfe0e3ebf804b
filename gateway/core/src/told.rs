//! Which changes a user's devices were told of here whether they have joined or not, so that a repeated announcement
//! reaches none of them twice. Pure.

use std::collections::VecDeque;

use proto::MatchId;

/// Announcements are repeated within seconds: the latest are enough.
const MAX_REMEMBERED: usize = 32;

/// The changes that were announced to one user here lately, by match and rev.
#[derive(Debug, Default)]
pub(crate) struct Told(VecDeque<(MatchId, i64)>);

impl Told {
    /// Nothing was announced.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the announcement is news; it then counts as told.
    pub(crate) fn is_news(&mut self, chat: &MatchId, rev: i64) -> bool {
        let Self(told) = self;
        if told.iter().any(|(known, known_rev)| known == chat && *known_rev == rev) {
            return false;
        }
        if told.len() >= MAX_REMEMBERED {
            told.pop_front();
        }
        told.push_back((chat.clone(), rev));
        true
    }

    /// The same, and none behind it was announced.
    pub(crate) fn is_newest(&mut self, chat: &MatchId, rev: i64) -> bool {
        let is_overtaken = self.0.iter().any(|(known, known_rev)| known == chat && *known_rev > rev);
        !is_overtaken && self.is_news(chat, rev)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_announcement_is_no_news() {
        let chat = MatchId::new("m").unwrap();
        let mut told = Told::default();
        assert!(told.is_news(&chat, 1));
        assert!(!told.is_news(&chat, 1));
        assert!(told.is_news(&chat, 3));
        assert!(told.is_news(&chat, 2) && !told.is_newest(&chat, 1));
        assert!(told.is_newest(&chat, 4));
    }
}

//! Which milestones a user's devices were told of here, so that a repeated announcement reaches none of them twice. Pure.

use std::collections::VecDeque;

use proto::MatchId;

/// Announcements are repeated within seconds: the latest are enough.
const MAX_REMEMBERED: usize = 32;

/// The milestones that were announced to one user here lately. Most users have none: they keep one word for it.
#[derive(Debug, Default)]
#[expect(clippy::box_collection, reason = "a deque itself is four words")]
pub(crate) struct Told(Option<Box<VecDeque<(MatchId, i32)>>>);

impl Told {
    /// Whether the announcement is news; it then counts as told.
    pub(crate) fn is_news(&mut self, chat: &MatchId, ord: i32) -> bool {
        let told = self.0.get_or_insert_default();
        if told.iter().any(|(known, known_ord)| known == chat && *known_ord == ord) {
            return false;
        }
        if told.len() >= MAX_REMEMBERED {
            told.pop_front();
        }
        told.push_back((chat.clone(), ord));
        true
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
        assert!(told.is_news(&chat, 2));
    }
}

//! The chats that a socket watches besides those that it has open: whether their other members are online.

use proto::{MatchId, UserId};

use crate::presence::{PresenceView, Shown};

/// Most chats of one set.
pub(crate) const MAX_WATCHED: usize = 50;
/// Most sets of one socket that are looked up at once.
const MAX_ASKED: u8 = 4;

/// A chat that is watched, and what the socket was told of its other member.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) chat: MatchId,
    pub(crate) user: UserId,
    pub(crate) shown: Shown,
}

/// What a socket watches. Mostly nothing, and then it is one word.
#[derive(Debug, Default)]
pub(crate) struct Watches(Option<Box<Set>>);

#[derive(Debug, Default)]
struct Set {
    watches: Vec<Watch>,
    /// The number of the newest set that was named.
    newest: u32,
    /// Sets that are looked up.
    asked: u8,
}

impl Watches {
    /// Another set is named; returns its number. `None` while too many are looked up.
    pub(crate) fn begin(&mut self) -> Option<u32> {
        let set = self.0.get_or_insert_default();
        if set.asked >= MAX_ASKED {
            return None;
        }
        set.asked += 1;
        set.newest = set.newest.wrapping_add(1);
        Some(set.newest)
    }

    /// A set was looked up, or could not be. The newest one replaces what was watched: true.
    pub(crate) fn end(&mut self, number: u32, found: Option<Vec<Watch>>) -> bool {
        let Some(set) = &mut self.0 else { return false };
        set.asked = set.asked.saturating_sub(1);
        let is_newest = set.newest == number;
        if let Some(watches) = found.filter(|_| is_newest) {
            set.watches = watches;
        }
        self.tidy();
        is_newest
    }

    /// What is watched.
    pub(crate) fn all(&self) -> &[Watch] {
        self.0.as_ref().map_or(&[], |set| &set.watches)
    }

    /// A chat is closed, or not the user's any more.
    pub(crate) fn forget(&mut self, chat: &MatchId) {
        if let Some(set) = &mut self.0 {
            set.watches.retain(|watch| watch.chat != *chat);
        }
        self.tidy();
    }

    /// Changes what the socket was told, where that is to be told: by `change`, of which nothing is told of some.
    pub(crate) fn change(
        &mut self,
        mut change: impl FnMut(&mut Watch) -> Option<PresenceView>,
    ) -> Vec<(MatchId, UserId, PresenceView)> {
        let watches = self.0.iter_mut().flat_map(|set| &mut set.watches);
        let changed = watches.filter_map(|watch| {
            let told = change(watch)?;
            Some((watch.chat.clone(), watch.user.clone(), told))
        });
        changed.collect()
    }

    fn tidy(&mut self) {
        self.0.take_if(|set| set.watches.is_empty() && set.asked == 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watches(chats: &[&str]) -> Vec<Watch> {
        let watch = |chat: &&str| Watch {
            chat: MatchId::new(*chat).unwrap(),
            user: UserId::new("bob").unwrap(),
            shown: Shown::Here,
        };
        chats.iter().map(watch).collect()
    }

    fn watched(watches: &Watches) -> Vec<&str> {
        watches.all().iter().map(|watch| watch.chat.as_str()).collect()
    }

    #[test]
    fn the_set_that_was_named_last_is_watched_whatever_is_found_first() {
        let mut set = Watches::default();
        let (first, second) = (set.begin().unwrap(), set.begin().unwrap());
        assert!(set.end(second, Some(watches(&["b"]))));
        assert!(!set.end(first, Some(watches(&["a"]))));
        assert_eq!(watched(&set), ["b"]);
        let third = set.begin().unwrap();
        assert!(set.end(third, None));
        assert_eq!(watched(&set), ["b"], "what could not be looked up replaces nothing");
        set.forget(&MatchId::new("b").unwrap());
        assert!(set.0.is_none());
    }

    #[test]
    fn only_so_many_are_looked_up_at_once() {
        let mut set = Watches::default();
        let begun: Vec<_> = (0..=MAX_ASKED).map(|_| set.begin()).collect();
        assert_eq!(begun.iter().flatten().count(), usize::from(MAX_ASKED));
        assert!(set.end(begun[3].unwrap(), Some(watches(&[]))));
        assert!(set.begin().is_some());
    }
}

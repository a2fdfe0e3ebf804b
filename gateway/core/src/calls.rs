//! What one socket knows of calls: which events it has had, and where it is a party. Pure: no IO, no clock.

use proto::MatchId;

/// More calls than a user can plausibly have in the lifetime of their repeats; the oldest are forgotten.
const MAX_KNOWN: usize = 16;

#[derive(Debug)]
struct Known {
    call_id: Box<str>,
    chat: MatchId,
    version: i64,
    /// This socket is one of the call's two selected devices and keeps its lease alive.
    leased: bool,
}

/// The calls of one socket.
#[derive(Debug, Default)]
pub(crate) struct Calls(Vec<Known>);

impl Calls {
    /// Whether an event of this version is news; it then counts as seen. Repeats carry the same version.
    pub(crate) fn is_news(&mut self, call_id: &str, chat: &MatchId, version: i64) -> bool {
        let known = self.entry(call_id, chat);
        let news = version > known.version;
        known.version = known.version.max(version);
        news
    }

    /// The match of a call this socket has heard of.
    pub(crate) fn chat_of(&self, call_id: &str) -> Option<&MatchId> {
        self.0.iter().find(|known| &*known.call_id == call_id).map(|known| &known.chat)
    }

    /// This socket became a party of the call as it was at `version`. True if it was none before. Of a call that the
    /// socket knows a later step of, nothing earlier counts: it may have ended.
    pub(crate) fn lease(&mut self, call_id: &str, chat: &MatchId, version: i64) -> bool {
        let known = self.entry(call_id, chat);
        known.version <= version && !std::mem::replace(&mut known.leased, true)
    }

    /// The call is over, or this socket's part in it.
    pub(crate) fn release(&mut self, call_id: &str) {
        for known in self.0.iter_mut().filter(|known| &*known.call_id == call_id) {
            known.leased = false;
        }
    }

    /// Whether this socket still has to keep the call's lease alive.
    pub(crate) fn is_leased(&self, call_id: &str) -> bool {
        self.0.iter().any(|known| &*known.call_id == call_id && known.leased)
    }

    fn entry(&mut self, call_id: &str, chat: &MatchId) -> &mut Known {
        let index = self.0.iter().position(|known| &*known.call_id == call_id).unwrap_or_else(|| {
            if self.0.len() >= MAX_KNOWN {
                self.0.remove(0);
            }
            self.0.push(Known { call_id: call_id.into(), chat: chat.clone(), version: 0, leased: false });
            self.0.len() - 1
        });
        &mut self.0[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_and_an_older_version_are_no_news() {
        let chat = MatchId::new("m").unwrap();
        let mut calls = Calls::default();
        assert!(calls.is_news("c", &chat, 1));
        assert!(!calls.is_news("c", &chat, 1));
        assert!(calls.is_news("c", &chat, 3));
        assert!(!calls.is_news("c", &chat, 2));
    }

    #[test]
    fn a_lease_begins_once_and_ends_with_the_call() {
        let chat = MatchId::new("m").unwrap();
        let mut calls = Calls::default();
        assert!(calls.lease("c", &chat, 1));
        assert!(!calls.lease("c", &chat, 1));
        assert!(calls.is_leased("c"));
        calls.release("c");
        assert!(!calls.is_leased("c"));
        assert_eq!(calls.chat_of("c"), Some(&chat));
    }

    #[test]
    fn a_call_whose_end_was_told_is_not_leased_by_what_was_read_before() {
        let chat = MatchId::new("m").unwrap();
        let mut calls = Calls::default();
        assert!(calls.is_news("c", &chat, 3));
        calls.release("c");
        assert!(!calls.lease("c", &chat, 2));
        assert!(!calls.is_leased("c"));
    }

    #[test]
    fn old_calls_are_forgotten() {
        let chat = MatchId::new("m").unwrap();
        let mut calls = Calls::default();
        for number in 0..100 {
            calls.is_news(&number.to_string(), &chat, 1);
        }
        assert_eq!(calls.0.len(), MAX_KNOWN);
        assert_eq!(calls.chat_of("0"), None);
    }
}

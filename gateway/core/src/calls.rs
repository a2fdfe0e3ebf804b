//! What one socket knows of calls: which events it has had, and where it is a party. Pure: no IO, no clock.

use proto::MatchId;

use crate::{
    cursor::CallPosition,
    mistake::{self, Mistake},
};

/// More calls than a user can plausibly have in the lifetime of their repeats; the oldest are forgotten.
const MAX_KNOWN: usize = 16;

#[derive(Debug)]
struct Known {
    call_id: Box<str>,
    /// `None` of a call that only the cursor named.
    chat: Option<MatchId>,
    version: i64,
    /// The cursor named it: the socket's device has heard of it before.
    is_restored: bool,
    /// This socket is one of the call's two selected devices and keeps its lease alive.
    leased: bool,
}

/// The calls of one socket.
#[derive(Debug, Default)]
pub(crate) struct Calls(Vec<Known>);

impl Known {
    fn unheard_of(call_id: &str) -> Self {
        Self { call_id: call_id.into(), chat: None, version: 0, is_restored: false, leased: false }
    }
}

impl Calls {
    /// Those of a socket that knows of a call what its cursor says.
    pub(crate) fn restored(call: Option<CallPosition>) -> Self {
        let known =
            |CallPosition { id, version }| Known { version, is_restored: true, ..Known::unheard_of(id.as_str()) };
        Self(call.filter(|_| !mistake::is_planted(Mistake::ForgetCalls)).map(known).into_iter().collect())
    }

    /// The last call of those that the socket heard of, and up to which version it was told of it: 0 if it only asked.
    pub(crate) fn last(&self) -> Option<(&str, i64)> {
        self.0.iter().max_by_key(|known| &known.call_id).map(|known| (&*known.call_id, known.version))
    }

    /// The call that the cursor named: of what became of it the socket has to be told, whatever it has heard since.
    pub(crate) fn brought(&self) -> Option<&str> {
        self.0.iter().find(|known| known.is_restored).map(|known| &*known.call_id)
    }

    /// Whether an event of this version is news; it then counts as seen. Repeats carry the same version.
    ///
    /// Ids of calls grow with time, and a user's next call begins when the last one is over: who has heard of a later
    /// call before a reconnect needs nothing of an earlier one.
    pub(crate) fn is_news(&mut self, call_id: &str, chat: &MatchId, version: i64) -> bool {
        if self.0.iter().any(|known| known.is_restored && call_id < &*known.call_id) {
            return false;
        }
        let known = self.entry(call_id, chat);
        let is_news = version > known.version;
        known.version = known.version.max(version);
        is_news
    }

    /// The match of a call this socket has heard of.
    pub(crate) fn chat_of(&self, call_id: &str) -> Option<&MatchId> {
        self.0.iter().find(|known| &*known.call_id == call_id)?.chat.as_ref()
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
            self.0.push(Known::unheard_of(call_id));
            self.0.len() - 1
        });
        let known = &mut self.0[index];
        known.chat.get_or_insert_with(|| chat.clone());
        known
    }
}

#[cfg(test)]
mod tests {
    use proto::ids::CallId;

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
    fn the_last_call_is_the_one_that_counts_after_a_reconnect() {
        let chat = MatchId::new("m").unwrap();
        let mut calls = Calls::default();
        assert_eq!(calls.last(), None);
        assert!(calls.is_news("b", &chat, 1) && calls.is_news("a", &chat, 2));
        assert_eq!(calls.last(), Some(("b", 1)), "the end of a came late");
        let mut calls = Calls::restored(Some(CallPosition { id: CallId::new("b").unwrap(), version: 2 }));
        assert_eq!(calls.chat_of("b"), None);
        assert_eq!(calls.brought(), Some("b"));
        assert!(!calls.is_news("b", &chat, 2) && calls.is_news("b", &chat, 3));
        assert_eq!(calls.chat_of("b"), Some(&chat));
        assert!(calls.is_news("c", &chat, 1) && !calls.is_news("a", &chat, 9), "a was over before b began");
        assert_eq!((calls.last(), calls.brought()), (Some(("c", 1)), Some("b")));
    }

    #[test]
    fn a_device_that_rang_knows_its_call_before_it_is_told_anything() {
        let chat = MatchId::new("m").unwrap();
        let mut calls = Calls::default();
        assert!(calls.lease("c", &chat, 1));
        assert_eq!(calls.last(), Some(("c", 0)));
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

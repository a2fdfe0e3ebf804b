//! What is known of revocations, and how long that counts. No clock.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use proto::{UserId, chat::Revocation};

/// How long a round of asking chat-service counts, from its beginning.
const FRESH_FOR: Duration = Duration::from_secs(10);

/// Whether a token is still good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Valid,
    /// It was revoked.
    Revoked,
    /// Nobody can say: chat-service is away, or was never heard.
    Undecided,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Per user, the Unix time in seconds up to which issued tokens are refused.
    not_before_s: HashMap<Box<str>, i64>,
    /// When the last round began that came to its end.
    complete_at: Option<Instant>,
}

impl State {
    /// Takes in an answer; returns what of it is new.
    pub(super) fn apply(&mut self, revocations: Vec<Revocation>) -> Vec<(UserId, i64)> {
        let mut news = Vec::new();
        for revocation in revocations {
            let Ok(user) = UserId::new(revocation.user_id) else { continue };
            // `iat` has whole seconds, so a token of the very second of the revocation is refused as well.
            let not_before_s = revocation.not_before_ms.div_euclid(1000);
            let known = self.not_before_s.entry(user.as_str().into()).or_insert(i64::MIN);
            if *known < not_before_s {
                *known = not_before_s;
                news.push((user, not_before_s));
            }
        }
        news
    }

    /// All that was revoked until a round began, at `begun`, is known.
    pub(super) fn note_complete(&mut self, begun: Instant) {
        self.complete_at = Some(begun);
    }

    /// Whether what is known can be relied on at `now`.
    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        self.complete_at.is_some_and(|begun| now.saturating_duration_since(begun) < FRESH_FOR)
    }

    /// The verdict at `now` on a token issued at a Unix time in seconds. What is revoked stays so, however old the news.
    pub(super) fn check(&self, user: &str, issued_at_s: i64, now: Instant) -> Verdict {
        if self.not_before_s.get(user).is_some_and(|not_before_s| issued_at_s <= *not_before_s) {
            Verdict::Revoked
        } else if self.is_fresh(now) {
            Verdict::Valid
        } else {
            Verdict::Undecided
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revocation(user: &str, not_before_ms: i64) -> Revocation {
        Revocation { user_id: user.into(), not_before_ms }
    }

    #[test]
    fn nothing_is_decided_before_the_first_round_is_complete() {
        let now = Instant::now();
        let mut state = State::default();
        assert_eq!(state.check("alice", 10, now), Verdict::Undecided);
        state.apply(vec![revocation("mallory", 10_000)]);
        assert_eq!(state.check("alice", 10, now), Verdict::Undecided);
        state.note_complete(now);
        assert_eq!(state.check("alice", 10, now), Verdict::Valid);
    }

    #[test]
    fn a_round_counts_for_ten_seconds_but_what_is_revoked_stays_so() {
        let now = Instant::now();
        let mut state = State::default();
        state.apply(vec![revocation("mallory", 10_000)]);
        state.note_complete(now);
        let at = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(state.check("alice", 10, at(9)), Verdict::Valid);
        assert_eq!(state.check("alice", 10, at(10)), Verdict::Undecided);
        assert_eq!(state.check("mallory", 10, at(99)), Verdict::Revoked);
    }

    #[test]
    fn a_token_of_the_same_second_is_refused_and_one_of_the_next_is_good() {
        let now = Instant::now();
        let mut state = State::default();
        state.apply(vec![revocation("alice", 10_999)]);
        state.note_complete(now);
        assert_eq!(state.check("alice", 10, now), Verdict::Revoked);
        assert_eq!(state.check("alice", 11, now), Verdict::Valid);
        assert_eq!(state.check("bob", 10, now), Verdict::Valid);
    }

    #[test]
    fn only_what_is_new_is_told() {
        let mut state = State::default();
        let alice = UserId::new("alice").unwrap();
        assert_eq!(state.apply(vec![revocation("alice", 10_000)]), [(alice.clone(), 10)]);
        assert_eq!(state.apply(vec![revocation("alice", 10_500), revocation("alice", 9_000)]), []);
        assert_eq!(state.apply(vec![revocation("alice", 11_000), revocation("not an id", 1)]), [(alice, 11)]);
    }
}

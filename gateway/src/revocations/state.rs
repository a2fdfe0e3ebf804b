//! What is known of revocations, and how long that counts. No clock.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use proto::{UserId, chat::Revocation};

/// How long a round of asking chat-service counts, from its beginning: so every gateway applies a revocation within
/// this time, or takes no token.
pub(super) const FRESH_FOR: Duration = Duration::from_secs(1);
/// How old a round may be before the gateway counts as not ready: shorter outages are waited for.
const READY_FOR: Duration = Duration::from_secs(10);

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
    /// Per user or app server, the Unix time in milliseconds before which issued tokens are refused.
    not_before_ms: HashMap<Box<str>, i64>,
    /// When the last round began that came to its end.
    complete_at: Option<Instant>,
}

impl State {
    /// Takes in an answer; returns what of it is new.
    pub(super) fn apply(&mut self, revocations: Vec<Revocation>) -> Vec<(UserId, Revocation)> {
        let mut news = Vec::new();
        for revocation in revocations {
            let Ok(user) = UserId::new(revocation.user_id.as_str()) else { continue };
            let known = self.not_before_ms.entry(user.as_str().into()).or_insert(i64::MIN);
            if *known < revocation.not_before_ms {
                *known = revocation.not_before_ms;
                news.push((user, revocation));
            }
        }
        news
    }

    /// All that was revoked until a round began, at `begun`, is known.
    pub(super) fn note_complete(&mut self, begun: Instant) {
        self.complete_at = Some(begun);
    }

    /// Drops the revocations of tokens that were issued before a Unix time in milliseconds, as those have all expired.
    pub(super) fn forget(&mut self, before_ms: i64) {
        self.not_before_ms.retain(|_, not_before_ms| *not_before_ms >= before_ms);
        self.not_before_ms.shrink_to_fit();
    }

    /// Whether the gateway can serve with what is known at `now`.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        self.is_younger_than(READY_FOR, now)
    }

    fn is_younger_than(&self, age: Duration, now: Instant) -> bool {
        self.complete_at.is_some_and(|begun| now.saturating_duration_since(begun) < age)
    }

    /// The verdict at `now` on a token issued at a Unix time in milliseconds. What is revoked stays so, however old the
    /// news.
    pub(super) fn check(&self, user: &str, issued_at_ms: i64, now: Instant) -> Verdict {
        if self.not_before_ms.get(user).is_some_and(|not_before_ms| issued_at_ms < *not_before_ms) {
            Verdict::Revoked
        } else if self.is_younger_than(FRESH_FOR, now) {
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
        Revocation { user_id: user.into(), not_before_ms, changed_ms: 0 }
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
    fn a_round_counts_for_a_second_but_what_is_revoked_stays_so() {
        let now = Instant::now();
        let mut state = State::default();
        state.apply(vec![revocation("mallory", 10_000)]);
        state.note_complete(now);
        let at = |ms| now + Duration::from_millis(ms);
        assert_eq!(state.check("alice", 9_999, at(999)), Verdict::Valid);
        assert_eq!(state.check("alice", 9_999, at(1_000)), Verdict::Undecided);
        assert_eq!(state.check("mallory", 9_999, at(99_000)), Verdict::Revoked);
        assert!(state.is_ready(at(9_999)) && !state.is_ready(at(10_000)));
    }

    #[test]
    fn an_earlier_token_is_refused_and_one_of_the_very_time_is_good() {
        let now = Instant::now();
        let mut state = State::default();
        state.apply(vec![revocation("alice", 11_000), revocation("carol", 11_500)]);
        state.note_complete(now);
        assert_eq!(state.check("alice", 10_999, now), Verdict::Revoked);
        assert_eq!(state.check("alice", 11_000, now), Verdict::Valid);
        assert_eq!(state.check("carol", 11_499, now), Verdict::Revoked);
        assert_eq!(state.check("carol", 11_500, now), Verdict::Valid);
        assert_eq!(state.check("bob", 0, now), Verdict::Valid);
    }

    #[test]
    fn only_what_is_new_is_told() {
        let mut state = State::default();
        let alice = UserId::new("alice").unwrap();
        let news = |not_before_ms| [(alice.clone(), revocation("alice", not_before_ms))];
        assert_eq!(state.apply(vec![revocation("alice", 10_000)]), news(10_000));
        assert_eq!(state.apply(vec![revocation("alice", 10_000), revocation("alice", 9_000)]), []);
        assert_eq!(state.apply(vec![revocation("alice", 10_001), revocation("not an id", 1)]), news(10_001));
    }

    #[test]
    fn revocations_of_tokens_that_have_all_expired_are_forgotten() {
        let now = Instant::now();
        let mut state = State::default();
        state.apply(vec![revocation("alice", 9_999), revocation("bob", 10_000)]);
        state.forget(10_000);
        state.note_complete(now);
        assert_eq!(state.not_before_ms.len(), 1);
        assert_eq!(state.check("alice", 0, now), Verdict::Valid);
        assert_eq!(state.check("bob", 9_999, now), Verdict::Revoked);
    }
}

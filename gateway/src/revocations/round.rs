//! A round of asking for revocations, page by page. No clock.

use std::time::Instant;

use proto::chat::{RevocationsRequest, RevocationsResponse};

/// The longest page that chat-service gives.
const PAGE: i32 = 10_000;
/// Revocations may become visible a little out of order, so this much is asked for again, in milliseconds.
const OVERLAP_MS: i64 = 5_000;

/// Where a round stands, and when it is over the next one.
#[derive(Debug)]
pub(super) struct Round {
    next: RevocationsRequest,
    /// What the first page said: when it was asked for, and as of when it was. What becomes visible later, and behind
    /// the place that the round has come to, is the next one's.
    first: Option<(Instant, i64)>,
}

impl Round {
    /// Of all revocations since a Unix time in milliseconds.
    pub(super) fn since(since_ms: i64) -> Self {
        let next = RevocationsRequest { since_ms, after_user_id: String::new(), limit: PAGE };
        Self { next, first: None }
    }

    /// What to ask for now.
    pub(super) fn next_page(&self) -> &RevocationsRequest {
        &self.next
    }

    /// Goes on behind a page, which was asked for at `asked`. After the last one it returns when the round began, and
    /// is the next.
    pub(super) fn take_in(&mut self, page: &RevocationsResponse, asked: Instant) -> Option<Instant> {
        let (begun, as_of_ms) = *self.first.get_or_insert((asked, page.as_of_ms));
        match page.revocations.last() {
            Some(last) if page.has_more => {
                self.next.since_ms = last.changed_ms;
                self.next.after_user_id.clone_from(&last.user_id);
                None
            }
            _ => {
                *self = Self::since(as_of_ms.saturating_sub(OVERLAP_MS).max(0));
                Some(begun)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proto::chat::Revocation;

    use super::*;

    fn page(users: &[&str], as_of_ms: i64, has_more: bool) -> RevocationsResponse {
        let revocation = |user: &&str| Revocation { user_id: (*user).to_owned(), not_before_ms: 99, changed_ms: 7 };
        let revocations = users.iter().map(revocation).collect();
        RevocationsResponse { revocations, as_of_ms, has_more, epoch: String::new() }
    }

    fn place(round: &Round) -> (i64, &str) {
        (round.next_page().since_ms, &round.next_page().after_user_id)
    }

    #[test]
    fn the_next_round_asks_again_for_what_may_have_become_visible_since_the_first_page() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut round = Round::since(0);
        assert_eq!(place(&round), (0, ""));
        assert_eq!(round.take_in(&page(&["alice", "bob"], 50_000, true), begun), None);
        assert_eq!(place(&round), (7, "bob"));
        assert_eq!(round.take_in(&page(&["carol"], 60_000, true), at(10)), None);
        assert_eq!(place(&round), (7, "carol"));
        assert_eq!(round.take_in(&page(&["dave"], 70_000, false), at(20)), Some(begun));
        assert_eq!(place(&round), (45_000, ""));
        assert_eq!(round.take_in(&page(&[], 71_000, false), at(21)), Some(at(21)));
        assert_eq!(place(&round), (66_000, ""));
    }

    #[test]
    fn who_promises_more_and_gives_none_is_not_asked_for_ever() {
        let now = Instant::now();
        assert_eq!(Round::since(3).take_in(&page(&[], 4_000, true), now), Some(now));
    }
}

//! What has become of the drafts of one request, over all its tries.

use proto::chat::{Code as ChatCode, Failure as ChatFailure, SendReply, SendResult, Stored, send_result};

use crate::failure::Failure;

/// The result of one draft.
pub fn outcome_of(result: SendResult) -> Result<Stored, Failure> {
    match result.result {
        Some(send_result::Result::Stored(stored)) => Ok(stored),
        Some(send_result::Result::Failure(failure)) => Err(failure.into()),
        None => Err(Failure::unavailable()),
    }
}

/// The best known result of each draft.
#[derive(Debug)]
pub(crate) struct Outcomes {
    drafts: Vec<Result<Stored, ChatFailure>>,
    /// Some try had no answer, and may store the drafts yet.
    pending: bool,
}

const UNKNOWN: ChatFailure = ChatFailure { code: ChatCode::Unavailable as i32, retry_after_ms: None, of_sender: false };

impl Outcomes {
    /// Of `count` drafts nothing is known.
    pub(crate) fn unknown(count: usize) -> Self {
        Self { drafts: vec![Err(UNKNOWN); count], pending: false }
    }

    /// One try had no answer. What it asked for may be done all the same: a refusal of a later try is not the last word
    /// then.
    pub(crate) fn unanswered(&mut self) {
        self.pending = true;
    }

    /// Takes in the reply to one try. One that does not answer each draft says nothing: false.
    pub(crate) fn absorb(&mut self, reply: SendReply) -> bool {
        if reply.results.len() != self.drafts.len() {
            return false;
        }
        for (known, result) in self.drafts.iter_mut().zip(reply.results) {
            // What an answered try has stored stays stored by this request: it is no duplicate of itself.
            if known.is_ok() {
                continue;
            }
            match result.result {
                Some(send_result::Result::Stored(stored)) => *known = Ok(stored),
                Some(send_result::Result::Failure(mut failure)) => {
                    // Who was removed meanwhile hears that there is no such match, though a try before has stored it.
                    if self.pending && matches!(failure.code(), ChatCode::RateLimited | ChatCode::MatchNotFound) {
                        failure.set_code(ChatCode::Unavailable);
                    }
                    *known = Err(failure);
                }
                None => {}
            }
        }
        true
    }

    /// If another try could change something: how long the service wants to be left alone before, in milliseconds.
    pub(crate) fn retry_after_ms(&self) -> Option<u64> {
        let open = self.drafts.iter().filter_map(|draft| draft.as_ref().err());
        let open = open.filter(|failure| failure.code() == ChatCode::Unavailable);
        open.map(|failure| failure.retry_after_ms.and_then(|wait| u64::try_from(wait).ok()).unwrap_or(0)).max()
    }

    /// The reply of the request as a whole.
    pub(crate) fn into_reply(self) -> SendReply {
        let results = self.drafts.into_iter().map(|draft| match draft {
            Ok(stored) => send_result::Result::Stored(stored),
            Err(failure) => send_result::Result::Failure(failure),
        });
        SendReply { results: results.map(|result| SendResult { result: Some(result) }).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(seq: i64, duplicate: bool) -> SendResult {
        let stored = Stored { seq, created_at_ms: 1, duplicate, client_id: String::new() };
        SendResult { result: Some(send_result::Result::Stored(stored)) }
    }

    fn failed(code: ChatCode, retry_after_ms: Option<i64>) -> SendResult {
        SendResult {
            result: Some(send_result::Result::Failure(ChatFailure {
                code: code.into(),
                retry_after_ms,
                of_sender: false,
            })),
        }
    }

    fn after(replies: &[&[SendResult]]) -> Outcomes {
        let mut outcomes = Outcomes::unknown(replies[0].len());
        for results in replies {
            outcomes.absorb(SendReply { results: results.to_vec() });
        }
        outcomes
    }

    #[test]
    fn without_a_reply_every_draft_is_unavailable() {
        let outcomes = Outcomes::unknown(2);
        assert!(outcomes.retry_after_ms().is_some());
        let codes: Vec<_> =
            outcomes.into_reply().results.into_iter().map(|result| outcome_of(result).unwrap_err().code).collect();
        assert_eq!(codes, [proto::Code::Unavailable; 2]);
    }

    #[test]
    fn a_draft_that_an_earlier_try_stored_is_no_duplicate() {
        let unavailable = || failed(ChatCode::Unavailable, None);
        let outcomes = after(&[&[stored(1, false), unavailable()], &[stored(1, true), stored(2, false)]]);
        assert_eq!(outcomes.retry_after_ms(), None);
        assert_eq!(outcomes.into_reply().results, [stored(1, false), stored(2, false)]);
    }

    #[test]
    fn a_draft_that_was_stored_before_the_request_stays_a_duplicate() {
        assert_eq!(after(&[&[stored(1, true)]]).into_reply().results, [stored(1, true)]);
    }

    #[test]
    fn what_is_known_to_be_stored_outlives_a_failed_try() {
        let unavailable = || failed(ChatCode::Unavailable, None);
        let outcomes = after(&[&[stored(1, false), unavailable()], &[unavailable(), unavailable()]]);
        assert_eq!(outcomes.into_reply().results, [stored(1, false), unavailable()]);
    }

    #[test]
    fn only_unavailable_is_worth_another_try() {
        let refused = [failed(ChatCode::MatchClosed, None), failed(ChatCode::RateLimited, Some(5))];
        assert_eq!(after(&[&refused]).retry_after_ms(), None);
        let waiting = [failed(ChatCode::Unavailable, Some(20)), failed(ChatCode::Unavailable, Some(70))];
        assert_eq!(after(&[&waiting]).retry_after_ms(), Some(70));
    }

    #[test]
    fn a_refusal_after_silence_leaves_the_outcome_unknown() {
        let mut outcomes = Outcomes::unknown(2);
        outcomes.unanswered();
        let busy = || failed(ChatCode::RateLimited, Some(1_000));
        outcomes.absorb(SendReply { results: vec![busy(), failed(ChatCode::MatchNotFound, None)] });
        assert_eq!(outcomes.retry_after_ms(), Some(1_000));
        assert_eq!(outcomes.drafts[1], Err(UNKNOWN));
        outcomes.absorb(SendReply { results: vec![stored(1, true), busy()] });
        assert_eq!(outcomes.into_reply().results[0], stored(1, true));
    }

    #[test]
    fn a_reply_of_the_wrong_length_says_nothing() {
        let mut outcomes = Outcomes::unknown(2);
        outcomes.absorb(SendReply { results: vec![stored(1, false)] });
        assert!(outcomes.retry_after_ms().is_some());
    }
}

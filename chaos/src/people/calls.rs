//! How a user calls and answers calls: what to do about them, and when. Pure.

use std::time::Duration;

use promises::{ELSEWHERE, Reason};

/// Most reactions that wait for their time.
const MAX_WAITING: usize = 16;

/// What to do about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Call.
    Request,
    /// Take it.
    Accept,
    /// Decline it.
    Reject,
    /// End it.
    End,
}

/// Something to do about a call at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reaction {
    pub(super) at: Duration,
    pub(super) key: u32,
    pub(super) call_id: String,
    pub(super) step: Step,
}

/// A user's reactions.
#[derive(Debug, Default)]
pub(super) struct Reactions(Vec<Reaction>);

impl Reactions {
    pub(super) fn push(&mut self, reaction: Reaction) {
        if self.0.len() < MAX_WAITING {
            self.0.push(reaction);
        }
    }

    pub(super) fn due(&mut self, now: Duration) -> Option<Reaction> {
        let at = self.0.iter().position(|reaction| reaction.at <= now)?;
        Some(self.0.swap_remove(at))
    }

    pub(super) fn due_at(&self) -> Option<Duration> {
        self.0.iter().map(|reaction| reaction.at).min()
    }
}

/// The hash of a call's id.
pub(super) fn hash(call_id: &str) -> u64 {
    proto::partition::fnv1a(call_id.as_bytes())
}

/// A reason of the contract, or one that the users give.
pub(super) fn reason(text: &str) -> Reason {
    const REASONS: [Reason; 10] = [
        "completed",
        "cancelled",
        "declined",
        "no_answer",
        ELSEWHERE,
        "connection_lost",
        "match_closed",
        "bye-0",
        "bye-1",
        "bye-2",
    ];
    REASONS.into_iter().find(|reason| *reason == text).unwrap_or("another reason")
}

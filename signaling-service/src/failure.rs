//! Why a command on a call failed, and how that stands on the wire.

use std::time::Duration;

use proto::{
    ids::CallId,
    signaling::{CallCode, CallFailure},
};
use service_kit::redis::RedisError;
use thiserror::Error;

use crate::call::Refusal;

/// Why a command on a call failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    /// The request is malformed.
    #[error("the payload is malformed")]
    InvalidPayload,
    /// The match does not exist, or the user is not a member: both look alike.
    #[error("there is no such match")]
    MatchNotFound,
    /// The match is closed.
    #[error("the match is closed")]
    MatchClosed,
    /// The match has not unlocked calls yet; with the number of messages missing, if a milestone unlocks them at all.
    #[error("the match has not unlocked calls yet")]
    MilestoneRequired(Option<i64>),
    /// The two have a call with each other already.
    #[error("the two are in a call already")]
    Busy {
        /// Which.
        call_id: CallId,
        /// The asking user takes part in it on another device.
        elsewhere: bool,
    },
    /// One of the two is in a call of another match.
    #[error("one of the two is in another call")]
    BusyInAnotherMatch,
    /// The user has rung too often.
    #[error("too many rings")]
    RateLimited(Duration),
    /// The `media` is too large.
    #[error("the media are too large")]
    PayloadTooLarge,
    /// There is no such live call.
    #[error("there is no such call")]
    CallNotFound,
    /// The call is in a state that does not allow this.
    #[error("the call is in a state that does not allow this")]
    StateConflict,
    /// Something that is needed gave no answer: the outcome is unknown.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// No device of the other party took the signal.
    #[error("no device took the signal")]
    NotTaken,
}

impl Failure {
    /// The failure as the gateways see it.
    pub fn to_wire(&self) -> CallFailure {
        let code = self.code().into();
        match self {
            Self::Busy { call_id, elsewhere } => CallFailure {
                code,
                call_id: Some(call_id.to_string()),
                elsewhere: *elsewhere,
                ..CallFailure::default()
            },
            Self::MilestoneRequired(remaining) => CallFailure { code, remaining: *remaining, ..CallFailure::default() },
            Self::RateLimited(wait) => {
                let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
                CallFailure { code, retry_after_ms: Some(wait_ms), ..CallFailure::default() }
            }
            _ => CallFailure { code, ..CallFailure::default() },
        }
    }

    /// Its code.
    pub fn code(&self) -> CallCode {
        match self {
            Self::InvalidPayload => CallCode::InvalidPayload,
            Self::MatchNotFound => CallCode::MatchNotFound,
            Self::MatchClosed => CallCode::MatchClosed,
            Self::MilestoneRequired(_) => CallCode::MilestoneRequired,
            Self::Busy { .. } | Self::BusyInAnotherMatch => CallCode::Busy,
            Self::RateLimited(_) => CallCode::RateLimited,
            Self::PayloadTooLarge => CallCode::PayloadTooLarge,
            Self::CallNotFound => CallCode::NotFound,
            Self::StateConflict => CallCode::StateConflict,
            Self::Unavailable(_) | Self::NotTaken => CallCode::Unavailable,
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound => Self::CallNotFound,
            Refusal::StateConflict => Self::StateConflict,
        }
    }
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

//! Why a command on a call failed, and how that stands on the wire.

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
    /// One of the two is in a call, which is named only if it is of this match.
    #[error("one of the two is in another call")]
    Busy(Option<CallId>),
    /// There is no such live call.
    #[error("there is no such call")]
    CallNotFound,
    /// The call is in a state that does not allow this.
    #[error("the call is in a state that does not allow this")]
    StateConflict,
    /// Something that is needed gave no answer: the outcome is unknown.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

impl Failure {
    /// The failure as the gateways see it.
    pub fn to_wire(&self) -> CallFailure {
        let (call_id, remaining) = match self {
            Self::Busy(call_id) => (call_id.as_ref().map(ToString::to_string), None),
            Self::MilestoneRequired(remaining) => (None, *remaining),
            _ => (None, None),
        };
        CallFailure { code: self.code().into(), call_id, remaining }
    }

    /// Its code.
    pub fn code(&self) -> CallCode {
        match self {
            Self::InvalidPayload => CallCode::InvalidPayload,
            Self::MatchNotFound => CallCode::MatchNotFound,
            Self::MatchClosed => CallCode::MatchClosed,
            Self::MilestoneRequired(_) => CallCode::MilestoneRequired,
            Self::Busy(_) => CallCode::Busy,
            Self::CallNotFound => CallCode::NotFound,
            Self::StateConflict => CallCode::StateConflict,
            Self::Unavailable(_) => CallCode::Unavailable,
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

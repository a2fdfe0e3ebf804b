//! What the services refuse, as clients hear it.

use proto::{
    Code,
    chat::{Code as ChatCode, Failure as ChatFailure},
    signaling::{CallCode, CallFailure},
};

use super::Failure;

impl From<ChatFailure> for Failure {
    fn from(failure: ChatFailure) -> Self {
        let code = match failure.code() {
            ChatCode::MatchNotFound => Code::MatchNotFound,
            ChatCode::MatchClosed => Code::MatchClosed,
            ChatCode::IdempotencyConflict => Code::IdempotencyConflict,
            ChatCode::RateLimited => Code::RateLimited,
            ChatCode::Unavailable => Code::Unavailable,
            ChatCode::InvalidPayload => Code::InvalidPayload,
            ChatCode::CallStateConflict => Code::CallStateConflict,
            ChatCode::Forbidden => Code::Forbidden,
            ChatCode::MessageNotFound => Code::MessageNotFound,
            ChatCode::MessageDeleted => Code::MessageDeleted,
            ChatCode::WindowPassed => Code::WindowPassed,
            ChatCode::GroupFull => Code::GroupFull,
            ChatCode::RevConflict => Code::RevConflict,
            ChatCode::Unspecified | ChatCode::Internal => Code::Internal,
        };
        let retry_after_ms = failure.retry_after_ms.and_then(|wait| u64::try_from(wait).ok());
        Self { retry_after_ms, ..code.into() }
    }
}

impl From<CallFailure> for Failure {
    fn from(failure: CallFailure) -> Self {
        let code = match failure.code() {
            CallCode::MatchNotFound => Code::MatchNotFound,
            CallCode::MatchClosed => Code::MatchClosed,
            CallCode::MilestoneRequired => Code::MilestoneRequired,
            CallCode::Busy => Code::CallBusy,
            CallCode::NotFound => Code::CallNotFound,
            CallCode::StateConflict => Code::CallStateConflict,
            CallCode::Unavailable => Code::Unavailable,
            CallCode::InvalidPayload => Code::InvalidPayload,
            CallCode::RateLimited => Code::RateLimited,
            CallCode::PayloadTooLarge => Code::PayloadTooLarge,
            CallCode::Unspecified => Code::Internal,
        };
        let retry_after_ms = failure.retry_after_ms.and_then(|wait| u64::try_from(wait).ok());
        Self {
            retry_after_ms,
            remaining: failure.remaining,
            call_id: failure.call_id,
            elsewhere: failure.elsewhere,
            ..code.into()
        }
    }
}

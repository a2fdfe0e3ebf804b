//! Why something was refused, and two of the ways in which a client hears of it: an ack and an event. The third, a
//! problem document, is the gateway's.

mod names;
mod upstream;

use proto::{ClientId, Code, MatchId, ids::CallId};
use serde::Serialize;
use thiserror::Error;

pub use names::Names;

/// A refusal as clients see it. Two refusals with the same content are alike to the byte: nothing of the request is in
/// it. Only the events repeat the ids that the command named, as they have no callback that knows them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", code.as_str())]
pub struct Failure {
    /// What kind of refusal.
    pub code: Code,
    /// When it may be worth trying again, in milliseconds from now.
    pub retry_after_ms: Option<u64>,
    /// With `MILESTONE_REQUIRED`: how many messages are missing.
    pub remaining: Option<i64>,
    /// With `CALL_BUSY`: the call that both already have with each other.
    pub call_id: Option<String>,
    /// With `CALL_BUSY`: the user takes part in that call on another device.
    pub elsewhere: bool,
}

impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        Self { code, retry_after_ms: None, remaining: None, call_id: None, elsewhere: false }
    }
}

impl Failure {
    /// `RATE_LIMITED`, for at least `wait`.
    pub fn rate_limited(wait: std::time::Duration) -> Self {
        let retry_after_ms = u64::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
        Self { retry_after_ms: Some(retry_after_ms), ..Code::RateLimited.into() }
    }

    /// The same, to be tried again later by a part of the wait, less than all of it, that `seed` chooses: those who are
    /// refused together are not to come back together.
    #[must_use]
    pub fn spread(mut self, seed: u64) -> Self {
        self.retry_after_ms = self.retry_after_ms.map(|wait| wait.saturating_add(seed % wait.max(1)));
        self
    }

    /// `UNAVAILABLE`: the outcome is unknown.
    pub fn unavailable() -> Self {
        Code::Unavailable.into()
    }

    /// `INVALID_PAYLOAD`.
    pub fn invalid() -> Self {
        Code::InvalidPayload.into()
    }

    /// The whole argument of an ack: `{"ok":false,"error":{"code":…,"message":…,"retryable":…}}`.
    pub fn ack_json(&self) -> String {
        let error = AckError { code: self.code.as_str(), message: self.code.message(), hints: self.hints() };
        to_json(&Ack { ok: false, error })
    }

    /// The argument of `message_error`, `chat_join_error` and `call_error`:
    /// `{"error":<message>,"code":…,"retryable":…}`, with
    /// `matchId`, `clientId` and `callId` where the command named them.
    pub fn event_json(&self, names: &Names) -> String {
        let ids = names.ids();
        to_json(&ErrorEvent {
            error: self.code.message(),
            code: self.code.as_str(),
            hints: self.hints(),
            match_id: ids.and_then(|ids| ids.of_match.as_ref()).map(MatchId::as_str),
            client_id: ids.and_then(|ids| ids.message.as_ref()).map(ClientId::as_str),
            // `CALL_BUSY` tells which call the two have.
            named_call: ids.and_then(|ids| ids.call.as_ref()).map(CallId::as_str).filter(|_| self.call_id.is_none()),
        })
    }

    /// What every face of the refusal tells besides its code.
    pub fn hints(&self) -> Hints<'_> {
        Hints {
            retryable: self.code.is_retryable(),
            retry_after_ms: self.retry_after_ms,
            remaining: self.remaining,
            call_id: self.call_id.as_deref(),
            elsewhere: self.elsewhere,
        }
    }
}

/// What every face of a refusal tells besides its code.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hints<'a> {
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_id: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    elsewhere: bool,
}

#[derive(Serialize)]
struct Ack<'a> {
    ok: bool,
    error: AckError<'a>,
}

#[derive(Serialize)]
struct AckError<'a> {
    code: &'static str,
    message: &'static str,
    #[serde(flatten)]
    hints: Hints<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorEvent<'a> {
    error: &'static str,
    code: &'static str,
    #[serde(flatten)]
    hints: Hints<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    match_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(rename = "callId", skip_serializing_if = "Option::is_none")]
    named_call: Option<&'a str>,
}

fn to_json(value: &impl Serialize) -> String {
    // Strings, numbers and booleans always serialize.
    serde_json::to_string(value).unwrap_or_default()
}

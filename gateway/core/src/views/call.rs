//! A live call, as the ack of `join_chat` shows it.

use proto::{
    rfc3339,
    signaling::{Call, CallState},
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::json::raw;

/// `{callId, matchId, caller, state, media, expiresAt}`; `state` is `ringing`, `active` or `ended`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallView<'a> {
    call_id: &'a str,
    match_id: &'a str,
    caller: &'a str,
    state: &'static str,
    media: &'a RawValue,
    expires_at: String,
}

impl<'a> CallView<'a> {
    /// The view of a call; `media` is `null` if the caller gave none.
    pub fn new(call: &'a Call) -> Self {
        Self {
            call_id: &call.call_id,
            match_id: &call.match_id,
            caller: &call.caller,
            state: state_name(call.state()),
            media: call.media.as_deref().map_or(RawValue::NULL, raw),
            expires_at: rfc3339::write(call.expires_at_ms),
        }
    }
}

/// How clients name the state of a call.
pub fn state_name(state: CallState) -> &'static str {
    match state {
        CallState::Ringing => "ringing",
        CallState::Active => "active",
        CallState::Unspecified | CallState::Ended => "ended",
    }
}

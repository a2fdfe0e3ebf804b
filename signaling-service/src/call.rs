//! A call: what it is and what time does to it. Pure: no IO, no clock.

mod decision;
mod record;
#[cfg(test)]
mod tests;

pub use decision::{Actor, Command, Refusal, Ringing, ring};

use std::borrow::Cow;

use proto::{MatchId, UserId, ids::CallId};
use serde::{Deserialize, Serialize};

/// An announcement is repeated this long after its change, in case it was lost on the way.
const REPEATED_AFTER_MS: [i64; 2] = [1_000, 3_000];
/// A larger `signal` of an end is announced once; the repeats come without it. So somebody who rings and hangs up costs
/// Redis little.
const MAX_REPEATED_SIGNAL_BYTES: usize = 512;

/// How long things of a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From the ring to `no_answer`.
    pub ring_ms: i64,
    /// From a device's last sign of life to `connection_lost`.
    pub lease_ms: i64,
    /// The longest life after acceptance.
    pub max_call_ms: i64,
}

/// A call between the two members of a match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Its name.
    #[serde(with = "record::id")]
    pub id: CallId,
    /// The match it belongs to.
    #[serde(with = "record::id")]
    pub match_id: MatchId,
    /// Who rang.
    #[serde(with = "record::id")]
    pub caller: UserId,
    /// Who is rung.
    #[serde(with = "record::id")]
    pub callee: UserId,
    /// The device that rang.
    pub caller_device: Device,
    /// The device that accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callee_device: Option<Device>,
    /// The client's `media` as JSON, while the call lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media: Option<String>,
    /// How far it is.
    pub state: State,
    /// Grows by one with every change of state, from 1.
    pub version: i64,
    /// Unix time of the last change of state.
    pub changed_at_ms: i64,
    /// How often the last change was announced again.
    pub repeats: usize,
    /// Unix time at which ringing ends by itself, or the call's longest life does.
    pub expires_at_ms: i64,
}

/// A party's end of the line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The socket's name.
    pub name: String,
    /// Unix time at which the device counts as lost.
    pub lease_until_ms: i64,
}

/// How far a call is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// The callee's devices ring.
    Ringing,
    /// Accepted, with what the accepting client sent along, as JSON.
    Active(Option<String>),
    /// Over. It is kept for a while, so that repeated commands find it.
    Ended(End),
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Why.
    pub reason: Reason,
    /// The client's own word for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_reason: Option<String>,
    /// What the client sent along, as JSON, while it is still to be announced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// The user and the device that ended it; nobody when time or the match's end did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<(String, String)>,
}

/// Why a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// A party hung up after acceptance, or the call reached its longest life.
    Completed,
    /// The caller hung up before.
    Cancelled,
    /// The callee refused.
    Declined,
    /// The callee did not react in time.
    NoAnswer,
    /// A party's device is gone.
    ConnectionLost,
    /// The match was closed.
    MatchClosed,
}

impl Reason {
    /// The reason as clients see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Declined => "declined",
            Self::NoAnswer => "no_answer",
            Self::ConnectionLost => "connection_lost",
            Self::MatchClosed => "match_closed",
        }
    }
}

impl End {
    /// The reason to be told: the client's own word, else ours.
    pub fn told_reason(&self) -> &str {
        self.client_reason.as_deref().unwrap_or(self.reason.as_str())
    }

    fn by_itself(reason: Reason) -> Self {
        Self { reason, client_reason: None, signal: None, by: None }
    }
}

impl Call {
    /// Whether it rings or is active.
    pub fn is_live(&self) -> bool {
        !matches!(self.state, State::Ended(_))
    }

    /// Whether the user is one of the two.
    pub fn involves(&self, user: &UserId) -> bool {
        self.caller == *user || self.callee == *user
    }

    /// What time has made of it by `now_ms`: ended when a deadline has passed. The earliest one decides.
    pub fn lapsed(&self, now_ms: i64) -> Option<Self> {
        let (deadline_ms, reason) = self.deadline()?;
        (deadline_ms <= now_ms).then(|| self.ended(End::by_itself(reason), now_ms))
    }

    /// The same call with its last change to be announced once more, if that is due by `now_ms`.
    pub fn repeated(&self, now_ms: i64) -> Option<Self> {
        let repeats = self.repeats + 1;
        (self.next_repeat_ms()? <= now_ms).then(|| Self { repeats, ..self.clone() })
    }

    /// The end that the closing of its match brings, if it is live.
    pub fn closed(&self, now_ms: i64) -> Option<Self> {
        self.is_live().then(|| self.ended(End::by_itself(Reason::MatchClosed), now_ms))
    }

    /// When [`lapsed`](Self::lapsed) or [`repeated`](Self::repeated) has something to say next.
    pub fn due_ms(&self) -> Option<i64> {
        let deadline = self.deadline().map(|(deadline_ms, _)| deadline_ms);
        deadline.into_iter().chain(self.next_repeat_ms()).min()
    }

    /// The call as it is stored: without a `signal` that no later announcement will carry.
    pub fn kept(&self) -> Cow<'_, Self> {
        let is_repeated = self.next_repeat_ms().is_some();
        match &self.state {
            State::Ended(End { signal: Some(signal), .. })
                if !is_repeated || signal.len() > MAX_REPEATED_SIGNAL_BYTES => {}
            _ => return Cow::Borrowed(self),
        }
        let mut kept = self.clone();
        if let State::Ended(end) = &mut kept.state {
            end.signal = None;
        }
        Cow::Owned(kept)
    }

    fn deadline(&self) -> Option<(i64, Reason)> {
        let expiry = match self.state {
            State::Ringing => Reason::NoAnswer,
            State::Active(_) => Reason::Completed,
            State::Ended(_) => return None,
        };
        let devices = [Some(&self.caller_device), self.callee_device.as_ref()];
        let leases = devices.into_iter().flatten().map(|device| (device.lease_until_ms, Reason::ConnectionLost));
        // The first of equals wins: an unanswered ring is not a lost connection.
        std::iter::once((self.expires_at_ms, expiry)).chain(leases).min_by_key(|(at_ms, _)| *at_ms)
    }

    fn next_repeat_ms(&self) -> Option<i64> {
        REPEATED_AFTER_MS.get(self.repeats).map(|after_ms| self.changed_at_ms + after_ms)
    }

    fn changed(&self, state: State, now_ms: i64) -> Self {
        Self { state, version: self.version + 1, changed_at_ms: now_ms, repeats: 0, ..self.clone() }
    }

    fn ended(&self, end: End, now_ms: i64) -> Self {
        Self { media: None, ..self.changed(State::Ended(end), now_ms) }
    }
}

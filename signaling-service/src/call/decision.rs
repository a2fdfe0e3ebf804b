//! What a command makes of a call. Pure: no IO, no clock.

use proto::{MatchId, UserId, ids::CallId};

use super::{Call, Device, End, Reason, State, Timing};

/// Who commands: a user on one device.
#[derive(Debug, Clone, Copy)]
pub struct Actor<'a> {
    /// The user.
    pub user: &'a UserId,
    /// The socket's name.
    pub device: &'a str,
}

/// What a party may want of a call that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Takes the call on this device.
    Accept {
        /// Relayed to the caller, as JSON.
        signal: Option<String>,
    },
    /// Refuses the call, on all devices.
    Reject {
        /// Relayed to the caller, as JSON.
        signal: Option<String>,
        /// The client's own word for why.
        reason: Option<String>,
    },
    /// Hangs up.
    End {
        /// Relayed to the other party, as JSON.
        signal: Option<String>,
        /// The client's own word for why.
        reason: Option<String>,
    },
    /// Relays something to the other party's device.
    Signal,
    /// The device is there.
    Renew,
    /// The device takes the place of an earlier one of the same user.
    TakeOver {
        /// The earlier one's name.
        earlier: String,
    },
}

/// Why a command is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such live call.
    NotFound,
    /// The call is not in a state that allows this, or not for this device.
    StateConflict,
}

/// What a ring meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ringing {
    /// Nobody is on the line: a new call.
    Starts,
    /// This device already has this call in this match.
    Repeats(Box<Call>),
    /// The two have this call with each other already.
    Busy {
        /// Its name.
        call_id: CallId,
        /// The asking user takes part in it on another device.
        elsewhere: bool,
    },
    /// One of the two is in a call of another match, which is not named.
    BusyInAnotherMatch,
}

/// What a ring by `actor` in a match meets, given the calls that the two are in.
pub fn ring<'a>(match_id: &MatchId, actor: Actor<'_>, others: impl IntoIterator<Item = &'a Call>) -> Ringing {
    let mut busy = false;
    for call in others.into_iter().filter(|call| call.is_live()) {
        if call.match_id != *match_id {
            busy = true;
        } else if call.caller == *actor.user && call.speaks_on(actor) {
            return Ringing::Repeats(Box::new(call.clone()));
        } else {
            return Ringing::Busy { call_id: call.id.clone(), elsewhere: call.is_elsewhere(actor) };
        }
    }
    if busy { Ringing::BusyInAnotherMatch } else { Ringing::Starts }
}

impl Call {
    /// A call that starts to ring.
    pub fn ringing(
        (id, match_id): (CallId, MatchId),
        by: Actor<'_>,
        callee: UserId,
        media: Option<String>,
        (timing, now_ms): (&Timing, i64),
    ) -> Self {
        Self {
            id,
            match_id,
            caller: by.user.clone(),
            callee,
            caller_device: Device::leased(by.device, timing, now_ms),
            callee_device: None,
            media,
            state: State::Ringing,
            version: 1,
            changed_at_ms: now_ms,
            repeats: 0,
            expires_at_ms: now_ms + timing.ring_ms,
        }
    }

    /// What the command makes of the call; `None` when it stays as it is, as after a repeated command.
    ///
    /// The caller has applied [`lapsed`](Self::lapsed) before.
    pub fn decide(
        &self,
        actor: Actor<'_>,
        command: &Command,
        timing: &Timing,
        now_ms: i64,
    ) -> Result<Option<Self>, Refusal> {
        if !self.involves(actor.user) {
            return Err(Refusal::NotFound);
        }
        match command {
            Command::Accept { signal } => self.accept(actor, signal.as_deref(), timing, now_ms),
            Command::Reject { signal, reason } => self.reject(actor, signal.as_deref(), reason.as_deref(), now_ms),
            Command::End { signal, reason } => Ok(self.hang_up(actor, signal.as_deref(), reason.as_deref(), now_ms)),
            Command::Signal => self.check_relay(actor).map(|()| None),
            Command::Renew => self.with_lease(actor, now_ms + timing.lease_ms).map(Some),
            Command::TakeOver { earlier } => self.taken_over(actor, earlier, now_ms + timing.lease_ms).map(Some),
        }
    }

    /// The other party of the call.
    pub fn other_than(&self, user: &UserId) -> &UserId {
        if self.caller == *user { &self.callee } else { &self.caller }
    }

    /// The device that a party speaks on; none for a callee that has not accepted.
    pub fn device_of(&self, user: &UserId) -> Option<&Device> {
        if self.caller == *user { Some(&self.caller_device) } else { self.callee_device.as_ref() }
    }

    fn accept(
        &self,
        actor: Actor<'_>,
        signal: Option<&str>,
        timing: &Timing,
        now_ms: i64,
    ) -> Result<Option<Self>, Refusal> {
        match &self.state {
            State::Ended(_) => Err(Refusal::NotFound),
            _ if self.caller == *actor.user => Err(Refusal::StateConflict),
            State::Ringing => Ok(Some(Self {
                callee_device: Some(Device::leased(actor.device, timing, now_ms)),
                expires_at_ms: now_ms + timing.max_call_ms,
                ..self.changed(State::Active(signal.map(str::to_owned)), now_ms)
            })),
            State::Active(_) if self.speaks_on(actor) => Ok(None),
            State::Active(_) => Err(Refusal::StateConflict),
        }
    }

    fn reject(
        &self,
        actor: Actor<'_>,
        signal: Option<&str>,
        reason: Option<&str>,
        now_ms: i64,
    ) -> Result<Option<Self>, Refusal> {
        match self.state {
            State::Ended(_) => Ok(None),
            State::Ringing if self.callee == *actor.user => {
                Ok(Some(self.ended(End::by(actor, Reason::Declined, signal, reason), now_ms)))
            }
            _ => Err(Refusal::StateConflict),
        }
    }

    fn hang_up(&self, actor: Actor<'_>, signal: Option<&str>, reason: Option<&str>, now_ms: i64) -> Option<Self> {
        let standard = match self.state {
            State::Ended(_) => return None,
            State::Active(_) => Reason::Completed,
            State::Ringing if self.caller == *actor.user => Reason::Cancelled,
            State::Ringing => Reason::Declined,
        };
        Some(self.ended(End::by(actor, standard, signal, reason), now_ms))
    }

    fn check_relay(&self, actor: Actor<'_>) -> Result<(), Refusal> {
        match self.state {
            State::Ended(_) => Err(Refusal::NotFound),
            State::Active(_) if self.speaks_on(actor) => Ok(()),
            _ => Err(Refusal::StateConflict),
        }
    }

    fn with_lease(&self, actor: Actor<'_>, lease_until_ms: i64) -> Result<Self, Refusal> {
        if !self.is_live() {
            return Err(Refusal::NotFound);
        }
        if !self.speaks_on(actor) {
            return Err(Refusal::StateConflict);
        }
        let mut next = self.clone();
        let device =
            if self.caller == *actor.user { Some(&mut next.caller_device) } else { next.callee_device.as_mut() };
        if let Some(device) = device {
            device.lease_until_ms = lease_until_ms;
        }
        Ok(next)
    }

    /// The same call on the actor's device instead of the earlier one. It is no change that anybody is told of.
    fn taken_over(&self, actor: Actor<'_>, earlier: &str, lease_until_ms: i64) -> Result<Self, Refusal> {
        let mut next = self.clone();
        let device =
            if self.caller == *actor.user { Some(&mut next.caller_device) } else { next.callee_device.as_mut() };
        if let Some(device) = device.filter(|device| device.name == earlier) {
            actor.device.clone_into(&mut device.name);
        }
        // If it was another device's all the while, this refuses it.
        next.with_lease(actor, lease_until_ms)
    }

    /// Whether the user takes part on another device. A callee whose devices still ring may accept on any of them.
    fn is_elsewhere(&self, actor: Actor<'_>) -> bool {
        self.device_of(actor.user).is_some_and(|device| device.name != actor.device)
    }

    fn speaks_on(&self, actor: Actor<'_>) -> bool {
        self.device_of(actor.user).is_some_and(|device| device.name == actor.device)
    }
}

impl Device {
    fn leased(name: &str, timing: &Timing, now_ms: i64) -> Self {
        Self { name: name.to_owned(), lease_until_ms: now_ms + timing.lease_ms }
    }
}

impl End {
    fn by(actor: Actor<'_>, reason: Reason, signal: Option<&str>, client_reason: Option<&str>) -> Self {
        Self {
            reason,
            client_reason: client_reason.filter(|text| !text.is_empty()).map(str::to_owned),
            signal: signal.map(str::to_owned),
            by: Some((actor.user.to_string(), actor.device.to_owned())),
        }
    }
}

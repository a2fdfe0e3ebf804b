//! What every part of the chat application needs.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use gateway_core::{Failure, Flood, Limited, Limits, Settings};
use proto::UserId;
use service_kit::Lifecycle;

use super::{presences::Presences, users::Users};
use crate::{
    auth::Authenticator,
    egress::{Admitted, Services},
    inboxes::Inboxes,
    limits::{self, SeatLimits, UserLimits},
    revocations::Revocations,
};

/// What every part of the chat application needs.
#[derive(Debug)]
pub struct Context {
    /// Checks tokens.
    pub authenticator: Arc<Authenticator>,
    /// Knows which tokens were revoked.
    pub revocations: Revocations,
    /// The other services.
    pub services: Services,
    /// What each user may do, shared with REST.
    pub limits: Arc<UserLimits>,
    /// How many sockets each user may have.
    pub seats: SeatLimits,
    /// What the connected users hear.
    pub inboxes: Inboxes,
    /// Who is connected.
    pub users: Arc<Users>,
    /// Who of those whom they watch is online.
    pub presence: Presences,
    /// How the core behaves.
    pub settings: Settings,
    /// Owns the tasks.
    pub lifecycle: Lifecycle,
}

impl Limits for Context {
    type Ticket = Admitted;

    fn take_event(&self, user: &UserId, now: Instant) -> Result<(), Flood> {
        self.limits.take_event(user.as_str(), now).map_err(|flood| match flood {
            limits::Flood::TooEarly(wait) => Flood::TooEarly(wait),
            limits::Flood::GoesOn(wait) => Flood::GoesOn(wait),
        })
    }

    fn take(&self, what: Limited, user: &UserId, now: Instant) -> Result<(), Duration> {
        let (limits, user) = (&self.limits, user.as_str());
        match what {
            Limited::Join => limits.joins.take(user, now).and_then(|()| limits.may_read(user, now)),
            Limited::Send => limits.sends.take(user, now),
            Limited::Typing => limits.typing.take(user, now),
            Limited::Signal => limits.call_signals.take(user, now),
        }
    }

    fn admit(&self, now: Instant) -> Result<Admitted, Failure> {
        self.services.admit(now)
    }

    fn has_read(&self, user: &UserId, bytes: usize, now: Instant) {
        self.limits.has_read(user.as_str(), bytes, now);
    }
}

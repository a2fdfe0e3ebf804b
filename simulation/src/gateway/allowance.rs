//! What the gateway allows: everything but, while faults strike, now and then nothing.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use gateway_core::{Failure, Flood, Limited, Limits};
use proto::UserId;

use crate::network::Network;

/// When to come back.
const WAIT: Duration = Duration::from_millis(300);

/// The limits of a gateway, which refuse by chance.
pub(super) struct Allowance(Rc<Network>);

impl Allowance {
    pub(super) fn new(net: &Rc<Network>) -> Self {
        Self(Rc::clone(net))
    }

    fn refused(&self) -> Result<(), Duration> {
        if self.0.sim().happens(self.0.noise().refusal) { Err(WAIT) } else { Ok(()) }
    }
}

impl Limits for Allowance {
    type Ticket = ();

    fn take_event(&self, _: &UserId, _: Instant) -> Result<(), Flood> {
        let goes_on = || self.0.sim().chance(|rng| rng.u32(0..10)) == 0;
        self.refused().map_err(|wait| if goes_on() { Flood::GoesOn(wait) } else { Flood::TooEarly(wait) })
    }

    fn take(&self, _: Limited, _: &UserId, _: Instant) -> Result<(), Duration> {
        self.refused()
    }

    fn admit(&self, _: Instant) -> Result<(), Failure> {
        self.refused().map_err(Failure::rate_limited)
    }

    fn has_read(&self, _: &UserId, _: usize, _: Instant) {}
}

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

    fn is_refused(&self) -> bool {
        self.0.sim().happens(self.0.noise().refusal)
    }
}

impl Limits for Allowance {
    type Ticket = ();

    fn take_event(&self, _: &UserId, _: Instant) -> Result<(), Flood> {
        if !self.is_refused() {
            return Ok(());
        }
        Err(if self.0.sim().chance(|rng| rng.u32(0..10)) == 0 { Flood::GoesOn(WAIT) } else { Flood::TooEarly(WAIT) })
    }

    fn take(&self, _: Limited, _: &UserId, _: Instant) -> Result<(), Duration> {
        if self.is_refused() { Err(WAIT) } else { Ok(()) }
    }

    fn admit(&self, _: Instant) -> Result<(), Failure> {
        if self.is_refused() { Err(Failure::rate_limited(WAIT)) } else { Ok(()) }
    }

    fn has_read(&self, _: &UserId, _: usize, _: Instant) {}
}

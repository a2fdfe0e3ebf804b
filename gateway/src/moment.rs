//! The moment that is given to the core with an input.

use std::time::Instant;

use gateway_core::Moment;
use service_kit::clock;

/// Now.
pub fn now() -> Moment {
    Moment { now: Instant::now(), unix_ms: clock::unix_ms(), random: fastrand::u64(..) }
}

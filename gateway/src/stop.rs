//! How the time that a stop may take is divided: closing the clients' transports, then the last requests, then the
//! rest.

use std::time::Duration;

/// At least this share of the time comes after the drain window, until it is [`LONGEST_REST`].
const REST_SHARE: u32 = 4;
/// More than this the drain window need not leave.
const LONGEST_REST: Duration = Duration::from_secs(5);

/// The parts of a stop, which come one after the other and end before its time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// Over this time the clients' transports are closed.
    pub window: Duration,
    /// Until then the last of them have to be gone, such as those of clients that do not read.
    pub sessions: Duration,
    /// HTTP requests get this to end.
    pub requests: Duration,
}

impl Stop {
    /// Divides the time of a whole stop. `window` is shortened if too little of it would be left.
    pub fn within(timeout: Duration, window: Duration) -> Self {
        let rest = (timeout / REST_SHARE).min(LONGEST_REST);
        let window = window.min(timeout.saturating_sub(rest));
        let rest = timeout.saturating_sub(window);
        // The last sixth is for what ends after the listener: subscriptions, and whoever still asks the services.
        Self { window, sessions: rest / 3, requests: rest / 2 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_window_that_leaves_enough_stays_as_it_is() {
        for (timeout, window) in [(30, 20), (30, 25), (30, 5), (5, 2), (30, 0)] {
            assert_eq!(Stop::within(s(timeout), s(window)).window, s(window));
        }
    }

    #[test]
    fn a_window_that_leaves_too_little_is_shortened() {
        for (timeout, window, left) in
            [(30, 30, 25_000), (30, 90, 25_000), (5, 5, 3_750), (3, 3, 2_250), (1, 5, 750), (0, 5, 0)]
        {
            assert_eq!(Stop::within(s(timeout), s(window)).window.as_millis(), left);
        }
    }

    proptest! {
        #[test]
        fn the_parts_end_before_the_time_is_over(timeout in 0..=u64::MAX, window in 0..=u64::MAX) {
            let (timeout, window) = (Duration::from_secs(timeout), Duration::from_secs(window));
            let stop = Stop::within(timeout, window);
            let parts = stop.window + stop.sessions + stop.requests;
            prop_assert!(parts < timeout || timeout.is_zero());
            prop_assert!(stop.window <= window);
        }
    }
}
